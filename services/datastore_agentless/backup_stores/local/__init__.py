"""Backups in a folder beside DTrove, which a carrier fills over SSH."""

from services.datastore_agentless.backup_stores.local.store import LocalStore

__all__ = ["LocalStore"]
