"""What an attacker tries: calls of all kinds, planted secrets, signs that a shell or SQL would obey, lines without TLS."""
