"""Keeping logs: who brings the log of which cluster to its store, and when."""

from services.datastore_agentless.archiving.archiver import Archiver

__all__ = ["Archiver"]
