"""A datastore manager from outside DTrove's own tree."""

from backyard.manager import MyBackyardDBManager

__all__ = ["MyBackyardDBManager"]
