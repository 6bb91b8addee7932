"""A local installation's first steps: directories, keyring, the first administrator's token."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from pathlib import Path

from client.local.addresses import url_of
from client.local.control_plane.marks import refuse_unfinished
from client.settings import Settings
from shared.config import read
from shared.secrets import Keyring, keyring_path, new_key, write_keyring

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_URL = "http://127.0.0.1:8780"


def settings() -> Settings:
    """What the command line was told. Raises ConfigInvalid."""
    return read(Settings, os.environ)


def home() -> Path:
    """Where the installation lives."""
    return Path(settings().home or ROOT / "var").resolve()


def config_file() -> Path:
    """The configuration in use."""
    return Path(settings().config or ROOT / "config.yaml").resolve()


def keyring_file(place: Path) -> Path:
    """The keyring that the services of this installation use."""
    return keyring_path(os.environ.get("DTROVE_KEYRING", ""), place)


def init(place: Path) -> list[str]:
    """Make what is missing; say what was made. A second run makes nothing. Raises Conflict in the midst of a restore."""
    refuse_unfinished(place)
    made = []
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    keyring = keyring_file(place)
    if not keyring.exists():
        write_keyring(keyring, Keyring((new_key(),)))
        made.append(f"keyring {keyring} (keep a copy: without it stored secrets are lost)")
    if not (place / "client.json").exists():
        fresh = secrets.token_urlsafe(32)
        (place / "bootstrap_token_hash").write_text(hashlib.sha256(fresh.encode()).hexdigest() + "\n")
        with os.fdopen(os.open(place / "client.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"token": fresh}, file)
        made.append(f"a first administrator's token, in {place / 'client.json'}")
    return made


def token(chosen: Settings) -> str:
    """The token to use: DTROVE_TOKEN, or the installation's own; empty where there is none."""
    if chosen.token:
        return chosen.token.reveal()
    path = home() / "client.json"
    return str(json.loads(path.read_text())["token"]) if path.exists() else ""


def url(chosen: Settings) -> str:
    """Where the API answers: DTROVE_URL, or the address that `dtrove up` chose."""
    if chosen.url:
        return chosen.url
    remembered = home() / "run" / "web"
    if not remembered.exists():
        return DEFAULT_URL
    return url_of(remembered.read_text())
