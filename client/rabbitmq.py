"""A RabbitMQ of our own: a private foreground child with free ports, its own epmd, its own password."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import BinaryIO

from client.local.addresses import free_ports
from client.local.processes import PidFile, end
from shared.errors import Failure

SCRIPTS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/homebrew/sbin/rabbitmq-server",
           "/usr/local/sbin/rabbitmq-server", "/usr/lib64/rabbitmq/bin/rabbitmq-server")  # fmt: skip
USER = "dtrove"


class PrivateRabbit:
    """One RabbitMQ node below `home`; every method may be called from another process than the one that started it."""

    def __init__(self, home: Path) -> None:
        self.directory = home.resolve() / "rabbitmq"
        self._process: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """What the node is called among Erlang's nodes."""
        return f"dtrove-{self._settings()['port']}@localhost"

    @property
    def uri(self) -> str:
        """Where it answers, with its password."""
        settings = self._settings()
        return f"amqp://{USER}:{settings['password']}@127.0.0.1:{settings['port']}/"

    def start(self) -> None:
        """Start epmd and the node; returns at once. Does nothing where they run."""
        if self.is_running():
            return
        settings = self._settings()
        environ = self._environment(settings)
        with (self.directory / "server.log").open("ab") as log:
            self._start_epmd(environ, log)
            self._process = subprocess.Popen(
                [_program("rabbitmq-server", SCRIPTS)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ,
                start_new_session=True, cwd=self.directory,
            )  # fmt: skip
        self._pid("server").write(self._process.pid)

    def is_running(self) -> bool:
        """Whether its process lives."""
        if self._process is not None:
            return self._process.poll() is None
        return self._pid("server").read() is not None

    def wait_ready(self, timeout: float) -> None:
        """Wait until it takes connections. Raises Failure after `timeout` seconds, or when it ended."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if not self.is_running():
                break
            if self._greets():
                return
            time.sleep(0.1)
        log = self.directory / "server.log"
        words = "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else ""
        raise Failure("RabbitMQ did not start", stderr=words, what_to_do=f"look at {log}")

    def stop(self) -> None:
        """End node and epmd; harmless when nothing runs."""
        pids = [pid for name in ("server", "epmd") if (pid := self._pid(name).read()) is not None]
        for pid in pids:
            # The start script is a shell around the node: the whole group is told.
            try:
                os.killpg(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue
        end(pids, patience=15.0)
        for pid in pids:
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for name in ("server", "epmd"):
            self._pid(name).remove()
        self._process = self._epmd = None

    def _start_epmd(self, environ: dict[str, str], log: BinaryIO) -> None:
        """Start the port mapper, without which no node begins."""
        port = environ["ERL_EPMD_PORT"]
        self._epmd = subprocess.Popen(
            [_program("epmd", ("/usr/bin/epmd",)), "-port", port, "-address", "127.0.0.1"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ, start_new_session=True,
        )  # fmt: skip
        self._pid("epmd").write(self._epmd.pid)
        _wait_port(int(port), 5)

    def _greets(self) -> bool:
        """Whether something speaks AMQP at the port: the answer to a wrong header is the right one."""
        try:
            with socket.create_connection(("127.0.0.1", int(self._settings()["port"])), timeout=1) as probe:
                probe.settimeout(2)
                probe.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(probe.recv(8))
        except OSError:
            return False

    def _pid(self, name: str) -> PidFile:
        return PidFile(self.directory / f"{name}.pid")

    def _settings(self) -> dict[str, str | int]:
        """Ports and password, chosen once and remembered."""
        path = self.directory / "ports.json"
        if path.exists():
            known: dict[str, str | int] = json.loads(path.read_text())
            return known
        self.directory.mkdir(parents=True, exist_ok=True)
        ports = free_ports(3)
        made: dict[str, str | int] = {"port": ports[0], "dist": ports[1], "epmd": ports[2],
                                      "password": secrets.token_urlsafe(24)}  # fmt: skip
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(made, file)
        return made

    def _environment(self, settings: dict[str, str | int]) -> dict[str, str]:
        root = self.directory
        conf = root / "rabbitmq.conf"
        with os.fdopen(os.open(conf, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(
                f"listeners.tcp.1 = 127.0.0.1:{settings['port']}\ndefault_user = {USER}\n"
                f"default_pass = {settings['password']}\nloopback_users = none\n"
                "vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 200MB\n"
            )
        (root / "enabled_plugins").write_text("[].\n")
        cookie = root / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(secrets.token_hex(16))
            cookie.chmod(0o400)
        return {
            **os.environ, "HOME": str(root), "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_PORT": str(settings["port"]), "RABBITMQ_DIST_PORT": str(settings["dist"]),
            "ERL_EPMD_PORT": str(settings["epmd"]), "RABBITMQ_MNESIA_BASE": str(root / "mnesia"),
            "RABBITMQ_LOG_BASE": str(root / "log"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(root / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(conf), "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null", "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_PID_FILE": str(root / "node.pid"),
        }  # fmt: skip


def _program(name: str, places: tuple[str, ...]) -> str:
    for place in places:
        if Path(place).exists():
            return place
    found = shutil.which(name)
    if found is None:
        raise Failure(f"{name} is not installed", what_to_do="run `make setup`, or name a broker in AMQP_URI")
    return found


def _wait_port(port: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Failure(f"epmd does not answer at port {port}", what_to_do="look whether Erlang is installed whole")
