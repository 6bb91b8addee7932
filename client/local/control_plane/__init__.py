"""What DTrove itself consists of, in one encrypted archive, and an installation made of it again."""
