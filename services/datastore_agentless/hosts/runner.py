"""Drives a script on a host over SSH: fenced, prefixed, recorded, and re-attached after any drop."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from services.datastore_agentless.hosts import jobs
from services.datastore_agentless.hosts.base import CommandFailed, HostUnreachable, Job, Put, Result, Run, quote, tail
from services.datastore_agentless.hosts.driver import Driver
from services.datastore_agentless.hosts.ssh import Output, SshPool
from shared.errors import DtroveError, Retryable, StaleEpoch
from shared.secrets import Secret

STALE_CODE, STALE_WORDS = 75, "dtrove: stale epoch"
ENVIRONMENT = "export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive; "

_PUT = """p={path}; mkdir -p "$(dirname "$p")"; umask 077; cat > "$p.dtrove-new" || exit 1
[ "$(wc -c < "$p.dtrove-new")" -eq {size} ] || {{ rm -f "$p.dtrove-new"; exit 1; }}
if cmp -s "$p.dtrove-new" "$p"; then rm "$p.dtrove-new"; s=same; t="$p"; else s=changed; t="$p.dtrove-new"; fi
chown {owner} "$t" && chmod {mode:o} "$t" || exit 1
[ $s = same ] || mv "$t" "$p"; echo $s"""


@dataclass(kw_only=True)
class HostRunner(Driver):
    """Runs scripts on one host over SSH. `root` holds fence and jobs on the host."""

    pool: SshPool
    root: str = jobs.ROOT

    def run(self, command: Run) -> Result:
        line = command.line
        if command.user:
            line = f"cd / && exec su -s /bin/sh {quote(command.user)} -c {quote(line)}"
        return _text(self._remote(line, _bytes(command.stdin), command.timeout))

    def put(self, command: Put) -> Result:
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
        folder = jobs.JobFolder(f"{self.task_id}-{command.name}", self.root)
        started = self._remote(folder.start(command.script), _bytes(command.stdin), 30.0)
        if started.code != 0:
            return _text(started)
        return _JobReader(self, folder, command).read()

    def remote(self, line: str, timeout: float = 30.0) -> Output:
        """Run one fenced, prefixed shell line."""
        return self._remote(line, b"", timeout)

    def _remote(self, line: str, stdin: bytes, timeout: float) -> Output:
        wrapped = f"{self.target.prefix}sh -c {quote(self._fence() + ENVIRONMENT + line)}"
        output = self.pool.run(self.target, wrapped, stdin, timeout)
        if output.code == STALE_CODE and STALE_WORDS.encode() in output.stderr:
            raise StaleEpoch(f"{self.target.name} has seen a newer epoch than {self.epoch}")
        return output

    def _fence(self) -> str:
        fence = quote(f"{self.root}/fence")
        return (
            f"f={fence}; o=0; [ ! -s $f ] || read -r o < $f; "
            f"if [ {self.epoch} -lt $o ]; then echo '{STALE_WORDS}' >&2; exit {STALE_CODE}; fi; "
            f"if [ {self.epoch} -gt $o ]; then mkdir -p {quote(self.root)} && "
            f"echo {self.epoch} > $f.{self.epoch} && mv $f.{self.epoch} $f; fi; "
        )


class _JobReader:
    """Follows one job from its first byte to its end, whatever happens to the connection."""

    def __init__(self, runner: HostRunner, folder: jobs.JobFolder, command: Job) -> None:
        self._runner, self._folder, self._command = runner, folder, command
        self._out = codecs.getincrementaldecoder("utf-8")("replace")
        self._err = codecs.getincrementaldecoder("utf-8")("replace")
        self._offsets = [0, 0]
        self._texts: list[list[str]] = [[], []]

    def read(self) -> Result:
        """Wait for the end. Raises CommandFailed (124) past the timeout, Retryable when a reboot took the job."""
        until = self._runner.clock.monotonic() + self._command.timeout
        pause = 0.1
        while self._runner.clock.monotonic() < until:
            self._check()
            try:
                look = jobs.parse_look(self._runner.remote(self._folder.look(*self._offsets)).stdout)
            except (HostUnreachable, CommandFailed):
                # The job goes on without us; only its own timeout ends the wait.
                self._runner.clock.sleep(pause)
                pause = min(5.0, pause * 2)
                continue
            pause = 0.1
            self._take(look)
            if look.state == "exited":
                return self._end(look.code or 0)
            if look.state != "running":
                self._runner.remote(self._folder.put_aside())
                raise Retryable(
                    f"`{self._command.title}` on {self._runner.target.name} is {look.state}: starting it again"
                )
        self._runner.remote(self._folder.stop())
        raise CommandFailed(
            f"`{self._command.title}` on {self._runner.target.name} did not end within {self._command.timeout:.0f} s",
            code=124, command=self._command.script, stderr=tail("".join(self._texts[1])),
            what_to_do="look at the host's load and network, then retry",
        )  # fmt: skip

    def _check(self) -> None:
        if self._runner.check is None:
            return
        try:
            self._runner.check()
        except StaleEpoch:
            raise
        except DtroveError:
            self._runner.remote(self._folder.stop())
            raise

    def _take(self, look: jobs.Look) -> None:
        self._offsets[0] += len(look.stdout)
        self._offsets[1] += len(look.stderr)
        out, err = self._out.decode(look.stdout), self._err.decode(look.stderr)
        self._texts[0].append(out)
        self._texts[1].append(err)
        if self._runner.on_output and (out or err):
            self._runner.on_output(self._runner.transcript.mask(out + err))

    def _end(self, code: int) -> Result:
        if code not in self._command.ok_codes:
            # So that a retry runs it anew instead of reading this failure again.
            self._runner.remote(self._folder.put_aside())
        return Result(code=code, stdout="".join(self._texts[0]), stderr="".join(self._texts[1]))


def _bytes(value: str | Secret | None) -> bytes:
    if value is None:
        return b""
    return (value.reveal() if isinstance(value, Secret) else value).encode()


def _text(output: Output) -> Result:
    return Result(output.code, output.stdout.decode(errors="replace"), output.stderr.decode(errors="replace"))
