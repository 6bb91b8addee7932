"""The stores that an administrator has named, by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from services.datastore_agentless.backup_stores.base import BackupStore
from services.datastore_agentless.backup_stores.local import LocalStore
from services.datastore_agentless.backup_stores.naming import S3Key, folder, place, swift_place
from shared.cloud import CloudAccount
from shared.errors import Failure

USUAL = "local"


class Stores:
    """All stores, each made when it is first asked for. `named` is as `parse_stores` gives it; none: a folder in `home`.

    `s3_key` and `account` are who DTrove is to an S3, and to a Swift.
    """

    def __init__(
        self, named: Sequence[str], home: str | Path, s3_key: S3Key | None = None, account: CloudAccount | None = None
    ) -> None:
        chosen = named or (f"{USUAL}={(Path(home).absolute() / 'backups').as_uri()}",)
        self._urls = dict(one.split("=", 1) for one in chosen)
        self._s3_key, self._account = s3_key or S3Key(), account or CloudAccount()
        self._made: dict[str, BackupStore] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, the usual one first."""
        return tuple(self._urls)

    @property
    def usual(self) -> str:
        """The store of a backup for which none was asked."""
        return self.names[0]

    def get(self, name: str) -> BackupStore:
        """The store called `name`. Raises Failure."""
        if name not in self._urls:
            raise Failure(f"there is no backup store {name!r}",
                          what_to_do=f"use one of DTROVE_BACKUP_STORES: {', '.join(self.names)}")  # fmt: skip
        if name not in self._made:
            self._made[name] = self._make(name, self._urls[name])
        return self._made[name]

    def _make(self, name: str, url: str) -> BackupStore:
        if url.startswith("file:"):
            return LocalStore(name, folder(url))
        # Each is read where it is first wanted: boto3 takes eleven megabytes, openstacksdk more, and most have neither.
        if url.startswith("swift:"):
            from services.datastore_agentless.backup_stores.swift.store import SwiftStore

            return SwiftStore(name, swift_place(url, self._account))
        from services.datastore_agentless.backup_stores.s3.store import S3Store

        return S3Store(name, place(url, self._s3_key))
