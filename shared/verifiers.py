"""What servers keep of a password, computed here: the password itself need not go where it is checked.

psycopg2 computes PostgreSQL's only over an open connection (`encrypt_password` refuses scram-sha-256 without one).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

# PostgreSQL's own (`scram_iterations`), and RFC 7677's least.
SCRAM_ITERATIONS = 4096
SALT_BYTES = 16


def scram_sha_256(password: str, salt: bytes | None = None, iterations: int = SCRAM_ITERATIONS) -> str:
    """What PostgreSQL keeps as `rolpassword`. Source: RFC 5803, RFC 7677; "Client Authentication" has the form.

    The password is printable ASCII: SASLprep leaves that as it is.
    """
    salted_with = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salted_with, iterations)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored, server = (base64.b64encode(one).decode() for one in (salted_with, stored_key, server_key))
    return f"SCRAM-SHA-256${iterations}:{salt_text}${stored}:{server}"


def mysql_native(password: str) -> str:
    """What `mysql_native_password` keeps. Source: MariaDB's documentation, "PASSWORD"."""
    inner = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()


def sha_256(password: str) -> str:
    """What Redis's access list keeps behind `#`. Source: Redis's documentation, "ACL SETUSER"."""
    return hashlib.sha256(password.encode()).hexdigest()
