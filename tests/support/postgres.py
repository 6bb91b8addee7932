"""A PostgreSQL of the suite's own, in a directory that goes with it."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg2

from client.local.addresses import free_ports

PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


class PrivatePostgres:
    """One server on a free port of loopback; `fresh()` makes a database in it."""

    def __init__(self, directory: Path) -> None:
        if not PLACES:
            raise RuntimeError("no PostgreSQL server is installed: `make test` installs the package postgresql")
        self.directory = directory
        self.data = directory / "data"
        self.port = free_ports(1)[0]

    def start(self) -> None:
        """Make the server's files and start it. A server refuses to run as root: then it runs as `nobody`."""
        self.data.mkdir(parents=True)
        if os.geteuid() == 0:
            owner = pwd.getpwnam("nobody")
            for path in (self.directory, self.data):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", self.data, "-U", "dtrove", "-A", "trust", "-N", "--no-instructions")
        options = (
            f"-p {self.port} -k {self.directory} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=300"
        )
        self._run("pg_ctl", "-D", self.data, "-w", "-l", self.directory / "log", "-o", options, "start")

    def stop(self) -> None:
        """End it, by force where it does not come to its end, and delete its files."""
        number = int((self.data / "postmaster.pid").read_text().split()[0])
        try:
            self._run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")
        except (RuntimeError, subprocess.TimeoutExpired):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def pause(self) -> None:
        """Stop the server, files kept."""
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def resume(self) -> None:
        """Start it again where it was."""
        options = (
            f"-p {self.port} -k {self.directory} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=300"
        )
        self._run("pg_ctl", "-D", self.data, "-w", "-l", self.directory / "log", "-o", options, "start")

    def fresh(self, stem: str = "test", like: str = "") -> str:
        """A new database, empty or a copy of the one at the URL `like`, which nobody uses; returns its SQLAlchemy URL."""
        name = f"{re.sub('[^a-z0-9]', '_', stem.lower())[:30]}_{secrets.token_hex(4)}"
        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user="dtrove", dbname="postgres")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f'create database "{name}"' + (f' template "{like.rpartition("/")[2]}"' if like else ""))
        connection.close()
        return f"postgresql+psycopg2://dtrove@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(PLACES[0] / program), *map(str, arguments)]
        options = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
        done = subprocess.run(
            command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=60, check=False, **options,
        ) if program != "pg_ctl" else subprocess.run(
            command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=60, check=False, **options,
        )  # fmt: skip
        if done.returncode != 0:
            log = self.directory / "log"
            raise RuntimeError(
                f"{program} failed: {done.stdout or ''} {log.read_text()[-2000:] if log.exists() else ''}"
            )
