"""Secrets reach the services by files for their owner alone."""

from __future__ import annotations

from pathlib import Path

from client.configuration import SERVICES, settings_of
from client.local.handing import hand_over, take_back
from shared.config import with_files

SETTINGS = [settings_of(name) for name in SERVICES]
ENVIRON = {"PATH": "/bin", "AMQP_URI": "amqp://dtrove:canary@127.0.0.1:5672/", "OS_PASSWORD": "canary: '\"",
           "API_DATABASE_URL": "postgresql://dtrove:canary@h/api", "SCHEDULER_DATABASE_URL": "sqlite:///x"}  # fmt: skip


def test_secrets_leave_the_environment_and_are_read_from_files_unchanged(tmp_path: Path) -> None:
    handed = hand_over(ENVIRON, SETTINGS, tmp_path / "secrets")
    assert "canary" not in str(handed)
    assert handed["PATH"] == "/bin"
    assert handed["SCHEDULER_DATABASE_URL"] == "sqlite:///x"
    read = with_files(dict.fromkeys(ENVIRON, ""), handed)
    for name in ("AMQP_URI", "OS_PASSWORD", "API_DATABASE_URL"):
        assert read[name] == ENVIRON[name]


def test_the_files_are_their_owners_alone_and_go_again(tmp_path: Path) -> None:
    place = tmp_path / "secrets"
    hand_over(ENVIRON, SETTINGS, place)
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o600}
    assert place.stat().st_mode & 0o777 == 0o700
    take_back(place)
    assert list(place.iterdir()) == []
