"""A local installation: its configuration, its processes and where their files lie."""
