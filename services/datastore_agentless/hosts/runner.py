"""Drives a script on a host over SSH: fenced, prefixed, recorded, and re-attached after any drop."""

from __future__ import annotations

import math
from dataclasses import dataclass

from services.datastore_agentless.hosts import jobs
from services.datastore_agentless.hosts.base import CommandFailed, Job, Put, Result, Run, quote, tail
from services.datastore_agentless.hosts.driver import Driver
from services.datastore_agentless.hosts.following import JobReader
from services.datastore_agentless.hosts.ssh import Output, SshPool
from shared.errors import StaleEpoch
from shared.secrets import Secret

STALE_CODE, STALE_WORDS = 75, "dtrove: stale epoch"
TIMED_OUT = 124
# The host ends a command by itself when its time is up; this much later the line gives it up as well.
GRACE_SECONDS = 5.0
# The kernel takes at most 128 KB as one argument.
ARGUMENT_BYTES = 100_000
ENVIRONMENT = "export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive; "

# Two tasks may write the same file at once: nodes that join one primary do. The folder's lock goes with the shell.
_PUT = """p={path}; d=$(dirname "$p"); mkdir -p "$d"; exec 9< "$d"; flock -w 20 9 || {{ echo "$d stays locked" >&2; exit 1; }}
umask 077; cat > "$p.dtrove-new" || exit 1
[ "$(wc -c < "$p.dtrove-new")" -eq {size} ] || {{ rm -f "$p.dtrove-new"; echo "it did not arrive whole" >&2; exit 1; }}
if cmp -s "$p.dtrove-new" "$p"; then rm "$p.dtrove-new"; s=same; t="$p"; else s=changed; t="$p.dtrove-new"; fi
chown {owner} "$t" && chmod {mode:o} "$t" || {{ rm -f "$p.dtrove-new"; exit 1; }}
[ $s = same ] || mv "$t" "$p" || exit 1
echo $s"""


@dataclass(kw_only=True)
class HostRunner(Driver):
    """Runs scripts on one host over SSH. `root` holds fences and jobs on the host, `memory` what must not touch a disk."""

    pool: SshPool
    root: str = jobs.ROOT
    memory: str = jobs.MEMORY

    def run(self, command: Run) -> Result:
        """Run one command and wait for its end."""
        line = command.line
        if command.user:
            line = f"cd / && exec su -s /bin/sh {quote(command.user)} -c {quote(line)}"
        return _text(self._remote(line, _bytes(command.stdin), command.timeout))

    def put(self, command: Put) -> Result:
        """Write a file atomically, if its content differs."""
        content = _bytes(command.content)
        line = _PUT.format(
            path=quote(command.path), owner=quote(command.owner), mode=command.mode, size=len(content)
        )  # fmt: skip
        done = _text(self._remote(line, content, 30.0))
        if done.code != 0:
            raise CommandFailed(
                f"{command.path} on {self.target.name} could not be written", code=done.code, stderr=tail(done.stderr),
                what_to_do="look at the host's disk space and permissions, then retry",
            )  # fmt: skip
        return Result(changed=done.text == "changed")

    def follow(self, command: Job) -> Result:
        """Start a job, or attach to the one that runs, and wait for its end."""
        folder = jobs.JobFolder(f"{self.task_id}-{command.name}", self.root, self.memory)
        stdin = _bytes(command.stdin)
        started = self._remote(folder.start(command.script, len(stdin)), stdin, 30.0)
        if started.code != 0:
            return _text(started)
        return JobReader(self, self.remote, folder, command).read()

    def remote(self, line: str, timeout: float = 30.0) -> Output:
        """Run one fenced, prefixed shell line."""
        return self._remote(line, b"", timeout)

    def _remote(self, line: str, stdin: bytes, timeout: float) -> Output:
        wrapped, stdin = self._wrap(self._fence() + ENVIRONMENT + line, stdin, timeout)
        began = self.clock.monotonic()
        output = self.pool.run(self.target, wrapped, stdin, timeout + GRACE_SECONDS)
        if output.code == STALE_CODE and STALE_WORDS.encode() in output.stderr:
            raise StaleEpoch(f"{self.target.name} has seen a newer epoch than {self.epoch}")
        if output.code in (TIMED_OUT, 137) and self.clock.monotonic() - began >= timeout:
            raise CommandFailed(
                f"a command on {self.target.name} did not end within {timeout:.0f} s and was ended", code=TIMED_OUT,
                command=self.transcript.mask(line), stderr=tail(self.transcript.mask(_text(output).stderr)),
                what_to_do="look at the host's load, then retry",
            )  # fmt: skip
        return output

    def _wrap(self, line: str, stdin: bytes, timeout: float) -> tuple[str, bytes]:
        """The command for sshd and its standard input.

        A prefix may hand its arguments on as they are (sudo, docker exec), or join them to a line for one more shell
        (vzctl exec, ssh): so behind one there are only words that no shell changes, and the script goes to `sh` over
        standard input, the command's own input inside it. printf is a builtin: no argument list shows it.
        """
        limit = f"timeout -k {GRACE_SECONDS:.0f} {math.ceil(timeout)}"
        if not self.target.prefix and len(line) < ARGUMENT_BYTES:
            return f"{limit} sh -c {quote(line)}", stdin
        feed = f"printf %s {quote(stdin.decode())} | main" if stdin else "main </dev/null"
        return f"{self.target.prefix}{limit} sh -s", f"main() {{\n{line}\n}}\n{feed}\n".encode()

    def _fence(self) -> str:
        if self.look_seconds is not None:
            return ""
        folder, epoch = f"{self.root}/fences", self.epoch
        fence = quote(f"{folder}/{jobs.JobFolder(self.subject or 'host').name}")
        return (
            f"f={fence}; o=0; [ ! -s $f ] || read -r o < $f; "
            f"if [ {epoch} -lt $o ]; then echo '{STALE_WORDS}' >&2; exit {STALE_CODE}; fi; "
            f"if [ {epoch} -gt $o ]; then (umask 077; mkdir -p {quote(folder)} && "
            f"echo {epoch} > $f.$$ && mv $f.$$ $f) || exit 1; fi; "
        )


def _bytes(value: str | Secret | None) -> bytes:
    if value is None:
        return b""
    return (value.reveal() if isinstance(value, Secret) else value).encode()


def _text(output: Output) -> Result:
    return Result(output.code, output.stdout.decode(errors="replace"), output.stderr.decode(errors="replace"))
