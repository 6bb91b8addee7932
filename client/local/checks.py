"""What only this machine can see of an installation, also while nothing of it runs."""

from __future__ import annotations

import importlib
import shutil
import socket
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from client.configuration import SERVICES, Configuration
from client.local.control_plane import marks
from client.supervisor import Supervisor
from client.terminal import age
from shared.broker import read_uris
from shared.errors import DtroveError, Failure
from shared.health import FAILED, MAKE_ROOM, OK, WARNING, room, status_of_disk
from shared.secrets import keyring_path, read_keyring

CONNECT_SECONDS = 3.0
# Whoever has copied DTrove's own state once means to do so again.
COPY_DAYS = 7
_COPY = "`dtrove control-plane backup FILE`"


@dataclass(frozen=True)
class LocalCheck:
    """One thing that was looked at, in the same shape as the API's checks."""

    name: str
    status: str
    message: str
    what_to_do: str = ""

    def plain(self) -> dict[str, str]:
        """As JSON."""
        return asdict(self)


def is_local(home: Path) -> bool:
    """Whether `dtrove up` has ever run an installation here."""
    return (home / "run" / "web").exists()


def look(home: Path, config: Path) -> list[LocalCheck]:
    """Every check that takes this machine, for the installation in `home`."""
    values = Configuration(home, config).values()
    running = Supervisor(home, config)
    return [
        _processes(running),
        _broker(values),
        _keyring(values, home),
        _migrations(values),
        _disk(home),
        _own_state(home),
    ]


def _processes(running: Supervisor) -> LocalCheck:
    states = running.status()
    missing = [one for one in states if one.pid is None]
    if not missing:
        return LocalCheck("processes", OK, "the supervisor and the four services run on this machine")
    if running.running is None:
        return LocalCheck("processes", FAILED, "DTrove does not run on this machine", "start it: `dtrove up --detach`")
    logs = "; ".join(f"{one.name} (its log: {one.log})" for one in missing)
    return LocalCheck("processes", FAILED, f"not running: {logs}",
                      "it is started again by itself, unless its configuration is wrong: `dtrove config`")  # fmt: skip


def _broker(values: dict[str, Any]) -> LocalCheck:
    try:
        nodes = read_uris(str(values.get("AMQP_URI") or ""))
    except ValueError as error:
        return LocalCheck("rabbitmq port", FAILED, f"AMQP_URI {error}", "mend AMQP_URI")
    silent = {f"{node.host}:{node.port}": why for node in nodes if (why := _why_silent(node.host, node.port))}
    told = "; ".join(f"{node} ({why})" for node, why in silent.items())
    if not silent:
        return LocalCheck("rabbitmq port", OK, "something listens where RabbitMQ should")
    if len(silent) < len(nodes):
        return LocalCheck("rabbitmq port", WARNING, f"nodes of RabbitMQ do not answer: {told}", "start them again")
    return LocalCheck("rabbitmq port", FAILED, f"nobody listens where RabbitMQ should: {told}",
                      "`dtrove up` runs one of its own; otherwise start it, or mend AMQP_URI")  # fmt: skip


def _why_silent(host: str, port: int) -> str:
    """Why nobody answers there; empty where somebody does."""
    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        return str(error)
    return ""


def _keyring(values: dict[str, Any], home: Path) -> LocalCheck:
    path = keyring_path(str(values.get("DTROVE_KEYRING") or ""), home)
    try:
        ring = read_keyring(path)
    except Failure as error:
        return LocalCheck("keyring file", FAILED, error.message,
                          "restore it from its copy: a new one opens nothing of what is stored")  # fmt: skip
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return LocalCheck("keyring file", WARNING, f"others on this machine can read {path}", f"chmod 600 {path}")
    keys = f"{len(ring.keys)} key{'' if len(ring.keys) == 1 else 's'}"
    return LocalCheck("keyring file", OK, f"{path} holds {keys}")


def _migrations(values: dict[str, Any]) -> LocalCheck:
    """Each service's database beside the code that is installed here, whether the service runs or not."""
    behind: list[str] = []
    ahead: list[str] = []
    away: list[str] = []
    for service, url in _databases(values):
        migrate = importlib.import_module("shared.db.migrate")
        try:
            current, versions = migrate.current_at(url), migrate.versions(service)
        except DtroveError:
            away.append(service)
            continue
        if current != versions.newest:
            words = f"{service} has {current or 'no version'}, the code {versions.newest}"
            (behind if current in versions.known or not current else ahead).append(words)
    if ahead:
        return LocalCheck("databases", FAILED, f"newer than the code here: {'; '.join(ahead)}",
                          "install the version of DTrove that has brought them up to date, or a newer one")  # fmt: skip
    if away:
        return LocalCheck("databases", FAILED, f"not answering: {', '.join(away)}",
                          "see whether they run, and the DATABASE_URLs of the configuration are right")  # fmt: skip
    if behind:
        return LocalCheck("databases", FAILED, f"older than the code here: {'; '.join(behind)}",
                          "restart DTrove: each service brings its database up to date when it starts")  # fmt: skip
    return LocalCheck("databases", OK, "every database has the version of the code that is installed here")


def _databases(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for service in SERVICES:
        url = str(values.get(f"{service.partition('_')[0].upper()}_DATABASE_URL") or "")
        # Looking at a SQLite file that is not there would make it.
        if url and not (url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists()):
            yield service, url


def _disk(home: Path) -> LocalCheck:
    free = shutil.disk_usage(home).free
    status = status_of_disk(free)
    return LocalCheck(
        "disk here", status, f"{room(free)} are free where {home} lies", "" if status == OK else MAKE_ROOM
    )


def _own_state(home: Path) -> LocalCheck:
    """How old the last copy of the control plane is; and whether this one was made of a copy, and still waits."""
    name = "control plane"
    if marks.unfinished(home):
        return LocalCheck(name, FAILED, "a restore of DTrove's own state was broken off before its end",
                          "run `dtrove control-plane restore` again: it goes on where it was")  # fmt: skip
    if held := marks.read(home, marks.HELD):
        waits = f"{held['tasks']} tasks and {held['messages']} messages wait, and clusters are not watched"
        return LocalCheck(name, WARNING, f"this is DTrove as it was at {held['made_at']}: {waits}",
                          "compare with what there is, then `dtrove control-plane resume`")  # fmt: skip
    last = marks.read(home, marks.LAST)
    if last is None:
        return LocalCheck(name, OK, f"no copy of DTrove's own state was made from here ({_COPY})")
    told = f"DTrove's own state was copied {age(last['at'])} ago"
    if datetime.now(UTC) - datetime.fromisoformat(last["at"]) > timedelta(days=COPY_DAYS):
        return LocalCheck(name, WARNING, f"{told}, to {last['file']}", f"copy it again: {_COPY}")
    return LocalCheck(name, OK, f"{told}, to {last['file']}")
