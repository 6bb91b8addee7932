"""A local installation's first steps: directories, keyring, the first administrator's token."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from pathlib import Path

from shared.secrets import Keyring, new_key, read_keyring, write_keyring

ROOT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """Where the installation lives."""
    return Path(os.environ.get("DTROVE_HOME") or ROOT / "var").resolve()


def config_file() -> Path:
    """The configuration in use."""
    return Path(os.environ.get("DTROVE_CONFIG") or ROOT / "config.yaml")


def init(place: Path) -> list[str]:
    """Make what is missing; say what was made. A second run makes nothing."""
    made = []
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (place / "keyring").exists():
        write_keyring(place / "keyring", Keyring((new_key(),)))
        made.append(f"keyring {place / 'keyring'} (keep a copy: without it stored secrets are lost)")
    if not (place / "client.json").exists():
        token = secrets.token_urlsafe(32)
        (place / "bootstrap_token_hash").write_text(hashlib.sha256(token.encode()).hexdigest() + "\n")
        with os.fdopen(os.open(place / "client.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"token": token}, file)
        made.append("a first administrator's token")
    return made


def rotate(place: Path) -> int:
    """Put a fresh key on top of the keyring; returns how many keys it holds now."""
    ring = read_keyring(place / "keyring")
    grown = Keyring((new_key(), *ring.keys))
    write_keyring(place / "keyring", grown)
    return len(grown.keys)


def token(place: Path) -> str:
    """The token to use: DTROVE_TOKEN, or the installation's own."""
    if given := os.environ.get("DTROVE_TOKEN"):
        return given
    path = place / "client.json"
    return str(json.loads(path.read_text())["token"]) if path.exists() else ""


def url(place: Path) -> str:
    """Where the API answers: DTROVE_URL, or the address that `dtrove up` chose."""
    if given := os.environ.get("DTROVE_URL"):
        return given.rstrip("/")
    remembered = place / "run" / "web"
    return f"http://{remembered.read_text().strip() if remembered.exists() else '127.0.0.1:8780'}"
