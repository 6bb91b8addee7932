"""Detached jobs: long commands that live on the node, so that no drop of the line can hurt them.

A job is a folder on the node, claimed by an atomic mkdir: cmd, pid, stdout, stderr, rc. Whoever comes later attaches by
byte offset. Plain POSIX sh; nothing stays resident. The pid file holds pid, start time and boot id, so that neither a
reused pid nor a reboot can pass for a running job. It is born by a hard link, which only one can make: either the job
comes to life, or whoever lost patience with it declares it dead, never both.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from services.datastore_agentless.hosts.base import quote

ROOT = "/var/lib/dtrove"
# Standard input of jobs may be secret: it lies in memory.
MEMORY = "/run/dtrove"
# A look lasts this long where nothing happens, and so long at least while the job talks on: a look costs the host a session,
# and a job that writes ten lines a second would otherwise share its processor with ten of them.
LOOK_SECONDS, TALK_SECONDS, TURN_SECONDS = 2.0, 0.4, 0.1
# How long a claimed job may take to come to life before it counts as never started.
BIRTH_SECONDS = 5.0
CHUNK = 262_144
NAME_KEPT = 100
# How long systemd is waited for, each time, when a job is to end: a stop of its own is over within the time of one command.
STOP_SECONDS = 8

_START = """set -u
umask 077
d={folder}
mkdir -p {root}/jobs {memory} || exit 1
find {root}/jobs -mindepth 1 -maxdepth 1 -mtime +3 \\( -name '*.ended-*' -o -exec test -f {{}}/rc \\; \\) -exec rm -rf {{}} + 2>/dev/null
mkdir "$d" 2>/dev/null || {{ [ -d "$d" ] && exit 0; echo "$d could not be made" >&2; exit 1; }}
# From here by relative names: should somebody lose patience and put this folder aside, they follow it.
cd "$d" || exit 1
i={memory}/{name}.$$
drop() {{ rm -rf "$i" "$(pwd -P)"; echo "$1" >&2; exit 1; }}
cat > "$i" && [ "$(wc -c < "$i")" -eq {size} ] || drop "the job's input did not arrive whole"
{{ printf %s {script} > cmd && echo "$i" > input && head -c 8192 /dev/zero > ballast && : > stdout && : > stderr &&
cat > run <<'END'
d=$(pwd -P)
cd /
read -r stat < /proc/$$/stat
set -- ${{stat##*) }}
shift 19
echo "$$ $1 $(cat /proc/sys/kernel/random/boot_id)" > "$d/pid.$$" && ln "$d/pid.$$" "$d/pid" || exit 1
read -r i < "$d/input"
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
(umask 022; exec sh "$d/cmd") < "$i" > "$d/stdout" 2> "$d/stderr"
rc=$?
# The ballast is room for the exit status on a disk that the job has filled.
rm -f "$i" "$d/ballast"
echo $rc > "$d/rc.new" && mv "$d/rc.new" "$d/rc"
END
}} || drop "the job's files could not be written"
if [ -d /run/systemd/system ]; then
  systemd-run --quiet --collect --unit={unit} -p KillMode=control-group -p WorkingDirectory="$(pwd -P)" sh ./run \
    </dev/null >/dev/null || drop "systemd did not start the job"
else
  setsid sh ./run </dev/null >/dev/null 2>&1 &
fi
"""

# Whether the process of the pid file still lives: same pid, same start time.
_ALIVE = """alive() {{
  read -r pid start boot < "$d/pid" || return 1
  [ "$pid" -gt 1 ] && [ -r /proc/$pid/stat ] && read -r stat < /proc/$pid/stat 2>/dev/null || return 1
  set -- ${{stat##*) }}
  [ "$1" != Z ] || return 1
  shift 19
  [ "$1" = "$start" ]
}}
bury() {{ echo "0 0 $1" > "$d/pid.$1.$$" && ln "$d/pid.$1.$$" "$d/pid" 2>/dev/null; }}
"""

_LOOK = (
    "d={folder}\n"
    + _ALIVE
    + """n=0
sizes() {{ set -- $(stat -c %s "$d/stdout" "$d/stderr" 2>/dev/null); so=${{1:-0}} se=${{2:-0}}; }}
state=running rc=-
while [ ! -f "$d/rc" ]; do
  if [ ! -d "$d" ]; then echo "absent - 0 0"; exit 0; fi
  if [ -f "$d/pid" ]; then
    if ! alive && [ ! -f "$d/rc" ]; then
      state=vanished
      [ "$pid" = 0 ] || [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] || state=lost
      break
    fi
  elif [ $(($(date +%s) - $(stat -c %Y "$d"))) -gt {patience} ] && bury unborn; then
    state=vanished
    break
  fi
  n=$((n+1))
  [ $n -lt {turns} ] || break
  if [ $n -gt {least} ]; then
    sizes
    [ $so -le {out} ] && [ $se -le {err} ] || break
  fi
  case $n in 1|2|3) sleep 0.03;; *) sleep {turn};; esac
done
if [ -f "$d/rc" ]; then state=exited rc=$(cat "$d/rc"); fi
sizes
no=$((so-{out})); [ $no -gt {chunk} ] && no={chunk} state=running
ne=$((se-{err})); [ $ne -gt {chunk} ] && ne={chunk} state=running
echo "$state $rc $no $ne"
tail -c +$(({out}+1)) "$d/stdout" 2>/dev/null | head -c $no
tail -c +$(({err}+1)) "$d/stderr" 2>/dev/null | head -c $ne
"""
)

_STOP = (
    "d={folder}\n"
    + _ALIVE
    + """[ -d "$d" ] || exit 0
bury stopped
# systemd now and then waits for what has ended long ago: whoever stops the job does not wait with it.
[ -d /run/systemd/system ] && {{ timeout {grace} systemctl stop {unit} || timeout {grace} systemctl kill -s KILL {unit}; }} 2>/dev/null
if [ ! -f "$d/rc" ] && alive; then
  kill -TERM -$pid 2>/dev/null
  n=0
  while kill -0 -$pid 2>/dev/null && [ $n -lt 60 ]; do sleep 0.05; n=$((n+1)); done
  kill -KILL -$pid 2>/dev/null
fi
rm -f {memory}/{name}.*
mv "$d" "$d.ended-$(date +%s%N)" 2>/dev/null
exit 0
"""
)

_ASIDE = 'mv {folder} {folder}.ended-"$(date +%s%N)" 2>/dev/null; rm -f {memory}/{name}.*'


@dataclass(frozen=True)
class Look:
    """What a look at a job found: `state` is running, exited, lost (reboot), vanished or absent."""

    state: str
    code: int | None
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class JobFolder:
    """The shell of one job. `job_id` may hold any characters; the folder's name holds only safe ones, and stays unique."""

    job_id: str
    root: str = ROOT
    memory: str = MEMORY

    @property
    def name(self) -> str:
        """The folder's name."""
        safe = re.sub(r"[^A-Za-z0-9_.-]", "-", self.job_id)
        if safe == self.job_id and len(safe) <= NAME_KEPT:
            return safe
        return f"{safe[:NAME_KEPT]}-{hashlib.sha256(self.job_id.encode()).hexdigest()[:12]}"

    @property
    def _names(self) -> dict[str, str]:
        return {
            "folder": quote(f"{self.root}/jobs/{self.name}"),
            "root": quote(self.root),
            "memory": quote(self.memory),
            "name": quote(self.name),
            "unit": quote(f"dtrove-{self.name}"),
        }

    def start(self, script: str, size: int = 0) -> str:
        """Claim and start the job; does nothing when somebody claimed it before. Its stdin, `size` bytes, is this command's."""
        return _START.format(script=quote(script), size=size, **self._names)

    def look(self, out: int, err: int) -> str:
        """Wait up to two seconds for more output (past the byte offsets) or the end, then report."""
        times = {"turns": int(LOOK_SECONDS / TURN_SECONDS), "least": int(TALK_SECONDS / TURN_SECONDS),
                 "turn": TURN_SECONDS, "patience": int(BIRTH_SECONDS)}  # fmt: skip
        return _LOOK.format(out=out, err=err, chunk=CHUNK, **times, **self._names)

    def stop(self) -> str:
        """End the job and everything it started."""
        return _STOP.format(grace=STOP_SECONDS, **self._names)

    def put_aside(self) -> str:
        """Let the next start be a new one; what was put aside goes after three days."""
        return _ASIDE.format(**self._names)

    def forget(self) -> str:
        """Keep nothing of a job that has ended: who makes one every minute would fill the disk with what is left of them."""
        return "rm -rf {folder}".format(**self._names)


def parse_look(output: bytes) -> Look:
    """Read what `look` printed: a header line, then as many bytes of each stream as it names. Raises ValueError."""
    header, _, body = output.partition(b"\n")
    state, code, out, err = header.decode(errors="replace").split()
    split = int(out)
    if len(body) != split + int(err):
        raise ValueError(f"{len(body)} bytes instead of {split} + {err}")
    return Look(state, None if code == "-" else int(code), body[:split], body[split:])
