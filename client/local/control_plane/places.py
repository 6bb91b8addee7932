"""Where the parts of an installation lie, as its configuration says: four databases, a keyring, and what options name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import URL, MetaData, make_url

from client.configuration import SERVICES, Configuration
from client.local.control_plane.manifest import POSTGRES, SQLITE
from client.supervisor import Supervisor
from shared.db import Database
from shared.errors import Conflict
from shared.secrets import keyring_path

# In this order databases are copied while services run: whoever asks for something comes after who does it. So a copy may lack
# what came of a wish, which is found out anew, and never the wish of what has come.
ORDER = ("provisioner", "scheduler", "datastore_agentless", "api")
# Larger files that an option names are no configuration.
MOST_BYTES = 1024 * 1024
# Services run here, and a path of theirs that is relative begins here.
ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Place:
    """Where a service's database is."""

    service: str
    url: URL = field(repr=False)

    @property
    def engine(self) -> str:
        """SQLITE or POSTGRES."""
        return SQLITE if self.url.get_backend_name() == SQLITE else POSTGRES

    @property
    def path(self) -> Path:
        """The file, of SQLite."""
        return (ROOT / (self.url.database or "")).resolve()

    @property
    def text(self) -> str:
        """The URL, password and all."""
        url = self.url.set(database=str(self.path)) if self.engine == SQLITE else self.url
        return url.render_as_string(hide_password=False)

    @property
    def shown(self) -> str:
        """What may be shown of it."""
        return str(self.path) if self.engine == SQLITE else self.url.render_as_string(hide_password=True)

    def database(self) -> Database:
        """Its door; close its `engine` afterwards."""
        return database_at(self.service, self.text)


@dataclass(frozen=True)
class Installation:
    """An installation of this machine: its directory, and its configuration as services would read it."""

    home: Path
    config: Path
    values: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, home: Path, config: Path) -> Installation:
        """The one in `home`. Raises ConfigInvalid where files of secrets cannot be read."""
        return cls(home, config, Configuration(home, config).values())

    @property
    def databases(self) -> list[Place]:
        """Each service's, in ORDER."""
        return [Place(service, make_url(self._url(service))) for service in ORDER]

    @property
    def keyring(self) -> Path:
        """The keyring's file."""
        return keyring_path(str(self.values.get("DTROVE_KEYRING") or ""), self.home)

    def named_files(self) -> Iterator[tuple[str, Path]]:
        """Files that options name, each with its option: certificates, keys, policies, the list of a pool of hosts."""
        for option, value in sorted(self.values.items()):
            path = Path(str(value)).expanduser()
            if option != "DTROVE_KEYRING" and "/" in str(value) and _is_small_file(path):
                yield option, path
                if option == "DTROVE_STATIC_HOSTS":
                    yield from ((option, key) for key in _named_by_pool(path) if _is_small_file(key))

    def running(self) -> list[str]:
        """Processes of it that run on this machine."""
        return [one.name for one in Supervisor(self.home, self.config).status() if one.pid is not None]

    def _url(self, service: str) -> str:
        option = f"{service.partition('_')[0].upper()}_DATABASE_URL"
        return str(self.values.get(option) or f"sqlite:///{self.home}/{service}.sqlite")


def refuse_running(installation: Installation, connected: dict[str, int], what_to_do: str) -> None:
    """Raise Conflict while processes of the installation run here, or somebody is connected to its databases."""
    if names := installation.running():
        raise Conflict(f"DTrove runs on this machine: {', '.join(names)}", what_to_do=what_to_do)
    if connected:
        told = ", ".join(f"{service} ({number})" for service, number in connected.items())
        raise Conflict(
            f"somebody is connected to the databases of {told}: services run somewhere", what_to_do=what_to_do
        )


def metadata_of(service: str) -> MetaData:
    """A service's tables."""
    found: MetaData = importlib.import_module(f"services.{service}.store.tables").metadata
    return found


def database_at(service: str, url: str) -> Database:
    """A service's database at another place."""
    return Database(url, service, metadata_of(service))


def _is_small_file(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= MOST_BYTES
    except OSError:
        return False


def _named_by_pool(path: Path) -> Iterator[Path]:
    """The private keys that the list of a pool names, and its script; each once. What is no list names nothing."""
    try:
        told = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    if not isinstance(told, dict):
        return
    hosts = [one for one in told.get("hosts") or [] if isinstance(one, dict)]
    names = [told.get("wipe_script"), *(one.get("private_key_file") for one in (told, *hosts))]
    for name in dict.fromkeys(str(one) for one in names if one):
        yield path.parent / name


assert set(ORDER) == set(SERVICES)
