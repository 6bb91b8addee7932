"""Writes down as one plain shell script what DTrove runs on a host, command by command, to run it without DTrove.

The managers' own generators are driven like a real host's, with the answers of a fresh host: so the script holds the
very same lines, files and standard input, and nothing is written by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts import identity
from services.datastore_agentless.hosts.base import Job, Put, Result, Run, Target, quote
from services.datastore_agentless.hosts.runner import ENVIRONMENT, HostRunner
from services.datastore_agentless.hosts.ssh import Output, SshPool
from services.datastore_agentless.hosts.transcript import Transcript
from services.datastore_agentless.settings import BUILT_IN
from shared.secrets import Secret

MARK = "@dtrove-bench"
LOG, INPUT = "${TMPDIR:-/tmp}/dtrove-bench.log", "/run/dtrove-bench.in"


@dataclass(frozen=True)
class Part:
    """One command of the script: the step of DTrove's workflow that it belongs to, its title, its shell."""

    step: str
    title: str
    shell: str


@dataclass(kw_only=True)
class Writer(HostRunner):
    """Speaks to no host: writes down each line it would send, and answers like a fresh host where all goes well."""

    step: str = ""
    parts: list[Part] = field(default_factory=list)
    _command: Run | Job | Put | None = None

    def run(self, command: Run) -> Result:
        self._command = command
        return super().run(command)

    def put(self, command: Put) -> Result:
        self._command = command
        return super().put(command)

    def follow(self, command: Job) -> Result:
        """A plain script has no use for a detached job: it waits."""
        stdin = command.stdin.reveal() if isinstance(command.stdin, Secret) else command.stdin or ""
        self._add(command.title, command.script, stdin, command.ok_codes)
        return Result()

    def _remote(self, line: str, stdin: bytes, timeout: float) -> Output:
        command = self._command
        assert command is not None
        codes = command.ok_codes if isinstance(command, Run) else (0,)
        self._add(command.title, line, stdin.decode(), codes)
        sample = command.sample if isinstance(command, Run) else "changed"
        return Output(0 if 0 in codes else codes[0], sample.encode(), b"")

    def _add(self, title: str, line: str, stdin: str, codes: tuple[int, ...]) -> None:
        good = "|".join(str(code) for code in codes)
        source = INPUT if stdin else "/dev/null"
        shell = (
            f"sh -c {quote(ENVIRONMENT + line)} < {source} >> {LOG} 2>&1; rc=$?\n"
            f"case $rc in {good}) ;; *) echo {quote(title)} ended with code $rc >&2; tail -n 20 {LOG} >&2; exit 1 ;; esac\n"
            f'echo "{MARK} {len(self.parts)} $(date +%s.%N)"\n'
        )
        feed = f"printf %s {quote(stdin)} > {INPUT}\n" if stdin else ""
        self.parts.append(Part(self.step, title, feed + shell))


def manager_of(shown: dict[str, object]) -> BaseManager:
    """The manager of a datastore as `GET /v1/datastores` shows it."""
    packages, parameters = shown["packages"], shown["default_parameters"]
    assert isinstance(packages, list)
    assert isinstance(parameters, dict)
    entry = Datastore(
        id=str(shown["id"]), manager_class=str(shown["manager"]), manager=str(shown["manager"]),
        version=str(shown["version"]), image=str(shown["image"]), packages=packages, default_parameters=parameters,
    )  # fmt: skip
    return load_manager(entry.manager_class, entry, BUILT_IN)


def write(manager: BaseManager, instance: Instance) -> list[Part]:
    """Everything that DTrove runs on `instance` to make a node of it, in order."""
    target = Target(name=instance.name, addr=instance.addr, port=instance.ssh_port, user=instance.user,
                    private_key=Secret(""), known_host="")  # fmt: skip
    writer = Writer(pool=SshPool(), target=target, task_id="benchmark", epoch=1,
                    transcript=Transcript(host=instance.name))  # fmt: skip
    for step, script in (
        ("connect", identity.make_host_key()),
        ("trust", identity.use_host_key()),
        ("pin", identity.reach()),
        ("preflight", manager.preflight(instance)),
        ("prepare", manager.prepare(instance)),
        ("verify", manager.verify(instance)),
    ):
        writer.step = step
        writer.execute(script)
    return writer.parts


def text(parts: list[Part]) -> str:
    """The script itself; it prints a mark with the time after each command, and stops at the first that fails."""
    head = f'umask 022\n: > {LOG}\necho "{MARK} begin $(date +%s.%N)"\n'
    return head + "".join(part.shell for part in parts)


def times(parts: list[Part], output: str) -> list[float]:
    """Seconds that each command took, from the marks. Raises ValueError where a mark is missing."""
    stamps = [float(line.split()[2]) for line in output.splitlines() if line.startswith(MARK)]
    if len(stamps) != len(parts) + 1:
        raise ValueError(f"{len(parts)} commands left {len(stamps)} marks")
    return [after - before for before, after in pairwise(stamps)]
