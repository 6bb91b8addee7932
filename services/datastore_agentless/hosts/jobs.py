"""Detached jobs: long commands that live on the node, so that no drop of the line can hurt them.

A job is a folder on the node, claimed by an atomic mkdir: cmd, pid, stdout, stderr, rc. Whoever comes later attaches by
byte offset. Plain POSIX sh; nothing stays resident. The pid file holds pid, start time and boot id, so that neither a
reused pid nor a reboot can pass for a running job.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.datastore_agentless.hosts.base import quote

ROOT = "/var/lib/dtrove"
LOOK_SECONDS = 2.0
CHUNK = 262_144

_START = """set -u
umask 077
d={folder}
mkdir -p {root}/jobs
mkdir "$d" 2>/dev/null || exit 0
mkdir -p /run/dtrove
cat > /run/dtrove/{id}.in
printf %s {script} > "$d/cmd"
cat > "$d/run" <<'END'
cd /
d={folder}
read -r stat < /proc/$$/stat
set -- ${{stat##*) }}
shift 19
echo "$$ $1 $(cat /proc/sys/kernel/random/boot_id)" > "$d/pid.new" && mv "$d/pid.new" "$d/pid"
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
umask 022
sh "$d/cmd" < /run/dtrove/{id}.in > "$d/stdout" 2> "$d/stderr"
rc=$?
rm -f /run/dtrove/{id}.in
echo $rc > "$d/rc.new" && mv "$d/rc.new" "$d/rc"
END
: > "$d/stdout"; : > "$d/stderr"
if [ -d /run/systemd/system ]; then
  systemd-run --quiet --collect --unit={unit} -p KillMode=control-group sh "$d/run" </dev/null >/dev/null 2>&1
else
  setsid sh "$d/run" </dev/null >/dev/null 2>&1 &
fi
"""

_LOOK = """d={folder}
n=0
while :; do
  state=running rc=-
  if [ -f "$d/rc" ]; then state=exited rc=$(cat "$d/rc"); fi
  if [ ! -d "$d" ]; then echo "absent - 0 0"; exit 0; fi
  so=$(stat -c %s "$d/stdout" 2>/dev/null || echo 0) se=$(stat -c %s "$d/stderr" 2>/dev/null || echo 0)
  if [ $state = running ]; then
    if [ -f "$d/pid" ]; then
      read -r pid start boot < "$d/pid"
      alive=no
      if [ -r /proc/$pid/stat ]; then
        read -r stat < /proc/$pid/stat 2>/dev/null && set -- ${{stat##*) }} && shift 19 && [ "$1" = "$start" ] && alive=yes
      fi
      if [ $alive = no ] && [ ! -f "$d/rc" ]; then
        state=vanished
        [ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ] || state=lost
      fi
    elif [ $n -ge {patience} ]; then
      [ -f "$d/rc" ] || state=vanished
    fi
  fi
  [ $state != running ] && break
  [ $so -gt {out} ] && break
  [ $se -gt {err} ] && break
  n=$((n+1))
  [ $n -ge {turns} ] && break
  sleep 0.05
done
no=$((so-{out})); [ $no -gt {chunk} ] && no={chunk} state=running
ne=$((se-{err})); [ $ne -gt {chunk} ] && ne={chunk} state=running
echo "$state $rc $no $ne"
tail -c +$(({out}+1)) "$d/stdout" 2>/dev/null | head -c $no
tail -c +$(({err}+1)) "$d/stderr" 2>/dev/null | head -c $ne
"""

_STOP = """d={folder}
[ -d /run/systemd/system ] && systemctl stop {unit} 2>/dev/null
if [ -f "$d/pid" ] && [ ! -f "$d/rc" ]; then
  read -r pid rest < "$d/pid"
  kill -TERM -$pid 2>/dev/null
  n=0
  while kill -0 -$pid 2>/dev/null && [ $n -lt 60 ]; do sleep 0.05; n=$((n+1)); done
  kill -KILL -$pid 2>/dev/null
fi
rm -f /run/dtrove/{id}.in
mv "$d" "$d.ended-$(date +%s)" 2>/dev/null
exit 0
"""

_ASIDE = (
    'mv {folder} {folder}.ended-"$(date +%s%N)" 2>/dev/null; find {root}/jobs -maxdepth 1 -mtime +7 -exec rm -rf {{}} +'
)


@dataclass(frozen=True)
class Look:
    """What a look at a job found: `state` is running, exited, lost (reboot), vanished or absent."""

    state: str
    code: int | None
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class JobFolder:
    """The shell of one job. `job_id` may hold any characters; the folder's name holds only safe ones."""

    job_id: str
    root: str = ROOT

    @property
    def _names(self) -> dict[str, str]:
        safe = re.sub(r"[^A-Za-z0-9_.-]", "-", self.job_id)
        return {
            "id": safe,
            "folder": quote(f"{self.root}/jobs/{safe}"),
            "root": quote(self.root),
            "unit": f"dtrove-{safe}",
        }

    def start(self, script: str) -> str:
        """Claim and start the job; does nothing when somebody claimed it before. Its stdin is this command's."""
        return _START.format(script=quote(script), **self._names)

    def look(self, out: int, err: int) -> str:
        """Wait up to two seconds for more output (past the byte offsets) or the end, then report."""
        turns = int(LOOK_SECONDS / 0.05)
        return _LOOK.format(out=out, err=err, turns=turns, patience=turns - 5, chunk=CHUNK, **self._names)

    def stop(self) -> str:
        """End the job and everything it started."""
        return _STOP.format(**self._names)

    def put_aside(self) -> str:
        """Let the next start be a new one; drop folders older than a week."""
        return _ASIDE.format(**self._names)


def parse_look(output: bytes) -> Look:
    """Read what `look` printed: a header line, then as many bytes of each stream as it names."""
    header, _, body = output.partition(b"\n")
    state, code, out, _err = header.decode().split()
    split = int(out)
    return Look(state, None if code == "-" else int(code), body[:split], body[split:])
