"""What datastore_agentless can be told."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from services.datastore_agentless.backup_stores.naming import in_swift, parse_stores, wants_login
from services.datastore_agentless.datastores import manager_class
from services.datastore_agentless.domain.instance import PROPERTIES
from shared import options
from shared.cloud import CloudAccount, no_authority, nobody_to_be
from shared.config import option
from shared.errors import Failure
from shared.options import Jump, parse_jump
from shared.secrets import Secret

BUILT_IN = (
    ("services.datastore_agentless.datastores.mysql.MySQLManager", "mysql"),
    ("services.datastore_agentless.datastores.pgsql.PostgresManager", "pgsql"),
    ("services.datastore_agentless.datastores.redis.RedisManager", "redis"),
)
# A percent sign that is neither doubled nor followed by a name.
_UNNAMED = re.compile(r"(?<!%)(?:%%)*%(?![%(])")
_HOST_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/=]{60,}(?: .*)?")


def parse_managers(raw: Any) -> tuple[tuple[str, str], ...]:
    """Read a list of ('path.to.Manager', 'manager_name') pairs that import. Raises ValueError with a sentence."""
    try:
        pairs = ast.literal_eval(raw) if isinstance(raw, str) else raw
        managers = tuple((str(path), str(name)) for path, name in pairs)
    except (SyntaxError, TypeError, ValueError) as error:
        raise ValueError("must be a list of pairs: [('path.to.Manager', 'manager_name'), ...]") from error
    wrong = [problem for path, _ in managers if (problem := _manager_problem(path))]
    if wrong:
        raise ValueError("; ".join(wrong))
    return managers


def _manager_problem(path: str) -> str:
    try:
        manager_class(path)
    except Failure as error:
        return error.message
    return ""


def parse_prefix(raw: Any) -> str:
    """A prefix that names only properties that an instance has. Raises ValueError with a sentence."""
    known = dict.fromkeys(PROPERTIES, "x")
    try:
        if _UNNAMED.search(str(raw)):
            raise ValueError("a conversion without a name")
        str(raw) % known
    except KeyError as error:
        raise ValueError(f"an instance has no property {error}; it has {', '.join(sorted(known))}") from error
    except (TypeError, ValueError) as error:
        raise ValueError("is no pattern: properties are written %(local_id)s, a percent sign %%") from error
    return str(raw)


def parse_jump_key(raw: Any) -> str:
    """A file with an ed25519 private key that opens without a passphrase. Raises ValueError with a sentence."""
    path = options.existing_file(raw)
    try:
        key = load_ssh_private_key(Path(path).read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} holds no private key that opens without a passphrase") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} holds another kind of key; an ed25519 key is wanted")
    return path


def parse_host_key(raw: Any) -> str:
    """A public ed25519 host key. Raises ValueError with a sentence."""
    if not _HOST_KEY.fullmatch(str(raw).strip()):
        raise ValueError("is no public host key; it should read like `ssh-ed25519 AAAA...` (ssh-keyscan -t ed25519)")
    return str(raw).strip()


@dataclass(frozen=True, kw_only=True)
class Settings(CloudAccount):
    """One field per option; those of the cloud are for stores in a Swift."""

    database_url: str = options.database_url("DATASTORE_DATABASE_URL", "datastore_agentless's")
    amqp_uri: str = options.amqp_uri()
    keyring: str = options.keyring()
    home: str = options.home()
    managers: tuple[tuple[str, str], ...] = option(
        "DTROVE_DATASTORE_MANAGERS",
        "the datastore managers there are: a list of ('path.to.Manager', 'manager_name'), in place of the built-in ones",
        default=BUILT_IN, parse=parse_managers,
    )  # fmt: skip
    prefix: str = option(
        "DTROVE_PREFIX",
        "prefix of every remote command; %(local_id)s and all other properties of the instance can be used in it",
        default="sudo -n ", parse=parse_prefix,
    )  # fmt: skip
    jump: Jump | None = option(
        "DTROVE_SSH_JUMP", "a host to go through to every server, as [user@]host[:port]", default=None, parse=parse_jump
    )
    jump_key_file: str = option(
        "DTROVE_SSH_JUMP_KEY_FILE", "file with the ed25519 private key that the jump host lets in, without passphrase",
        default="", parse=parse_jump_key,
    )  # fmt: skip
    jump_host_key: str = option(
        "DTROVE_SSH_JUMP_HOST_KEY", "the jump host's own public key, as `ssh-ed25519 AAAA...`; no other is trusted",
        default="", parse=parse_host_key,
    )  # fmt: skip
    simulated_latency: float = option(
        "DTROVE_SIMULATED_LATENCY", "seconds that a command takes on the simulated hosts of the provider `fake`",
        default=0.005,
    )  # fmt: skip
    workers: int = option("DTROVE_DATASTORE_WORKERS", "steps of datastore_agentless that run at the same time",
                          default=32, parse=options.whole(1, 256))  # fmt: skip
    watch_seconds: int = option(
        "DTROVE_WATCH_SECONDS", "seconds from one look at a database to the next; 0: nobody watches", default=10,
        parse=options.whole(0, 600),
    )  # fmt: skip
    lag_seconds: int = option("DTROVE_LAG_SECONDS", "seconds that a replica may be behind before it is called lagging",
                              default=30, parse=options.whole(1, 86_400))  # fmt: skip
    backup_stores: tuple[str, ...] = option(
        "DTROVE_BACKUP_STORES", "where backups are kept, as name=url with blanks between, the usual store first: "
        "file:///folder, s3://bucket/prefix?endpoint=https://host&region=here, or swift://container/prefix?cloud=name (and region, "
        "interface, endpoint; without a cloud of clouds.yaml: as the OS_* options say); empty: `local`, the folder `backups` in DTROVE_HOME",
        default=(), parse=parse_stores,
    )  # fmt: skip
    s3_access_key_id: str = option(
        "DTROVE_S3_ACCESS_KEY_ID",
        "who DTrove is to stores that speak S3; empty: whom boto3 finds in its own places",
        default="",
    )
    s3_secret_access_key: Secret = option(
        "DTROVE_S3_SECRET_ACCESS_KEY", "that one's secret", default=Secret(""), secret=True
    )
    archive_seconds: int = option(
        "DTROVE_ARCHIVE_SECONDS", "seconds from one look for what waits of a database's log to the next; 0: no log is kept beside backups",
        default=0, parse=options.whole(0, 3600),
    )  # fmt: skip
    log_level: str = options.log_level()

    @property
    def jump_private_key(self) -> Secret:
        """What the jump host lets in; empty without one."""
        return Secret(Path(self.jump_key_file).read_text()) if self.jump else Secret("")

    @staticmethod
    def wrong_together(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The keyring must be there; a jump host needs a key to log in with, and one to be known by; an S3's key has two halves;
        a store in a Swift wants somebody to be.
        """
        yield from options.keyring_is_wrong(chosen)
        halves = ("DTROVE_S3_ACCESS_KEY_ID", "DTROVE_S3_SECRET_ACCESS_KEY")
        if sum(bool(chosen.get(name)) for name in halves) == 1:
            missing = next(name for name in halves if not chosen.get(name))
            yield missing, "is not set: the other half of an S3's key is of no use alone"
        swift = [one for one in chosen.get("DTROVE_BACKUP_STORES", ()) if in_swift(one)]
        if swift:
            yield from no_authority(chosen)
        wanting = [one.partition("=")[0] for one in swift if wants_login(one)]
        if wanting:
            yield from nobody_to_be(chosen, f"the backup store {wanting[0]}")
        for name in ("DTROVE_SSH_JUMP_KEY_FILE", "DTROVE_SSH_JUMP_HOST_KEY"):
            if chosen.get("DTROVE_SSH_JUMP") and chosen.get(name) == "":
                yield name, "is not set: the jump host of DTROVE_SSH_JUMP cannot be used without it"

    @staticmethod
    def unwise_together(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """SQLite beside a broker for many; a jump host's options without a jump host."""
        yield from options.sqlite_is_unwise("DATASTORE_DATABASE_URL", chosen)
        for name in ("DTROVE_SSH_JUMP_KEY_FILE", "DTROVE_SSH_JUMP_HOST_KEY"):
            if chosen.get(name) and not chosen.get("DTROVE_SSH_JUMP"):
                yield name, "has no effect without DTROVE_SSH_JUMP"
