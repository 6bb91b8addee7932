"""What is asked of a node while it is watched: one script that prints a line of JSON, then the engine's own word.

Nothing is changed. Source of the numbers: proc(5), and "Control Group v2" of the kernel's documentation.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from services.datastore_agentless.datastores.base import scripts
from services.datastore_agentless.datastores.base.manager import BaseManager
from services.datastore_agentless.domain.health import DATA, ROOT, TMP, Disk, Engine, Machine
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Run, Script, quote

PROBE_SECONDS = 5.0

# A container's own limit goes before what its kernel has. A place that is not there yet is looked for above.
_PROBE = """{running}
kb() {{ p=$1; while [ ! -d "$p" ]; do p=$(dirname "$p"); done; df -Pk "$p" | awk 'NR==2 {{printf "[%d,%d]", $4, $3+$4}}'; }}
read -r boot < /proc/sys/kernel/random/boot_id; read -r up _ < /proc/uptime; read -r load _ < /proc/loadavg
t=$(awk '/^MemTotal/ {{print $2; exit}}' /proc/meminfo); a=$(awk '/^MemAvailable/ {{print $2; exit}}' /proc/meminfo)
for d in /sys/fs/cgroup /sys/fs/cgroup/memory; do
  for f in memory.max:memory.current memory.limit_in_bytes:memory.usage_in_bytes; do
    {{ read -r m < $d/${{f%:*}} && read -r u < $d/${{f#*:}}; }} 2>/dev/null || continue
    case $m in max|*[!0-9]*|????????????????*) continue;; esac
    c=$(awk '$1 ~ /^(total_)?inactive_file$/ {{print $2; exit}}' $d/memory.stat 2>/dev/null)
    m=$((m/1024)); f=$((m-(u-${{c:-0}})/1024)); [ $m -ge $t ] || t=$m; [ $f -ge $a ] || a=$f
  done
done
process=null; [ -z {process} ] || {{ process=false; ! running {process} || process=true; }}
printf '{{"boot_id":"%s","uptime":%s,"load":%s,"memory_kb":[%s,%s],"clock":%s,"process":%s,"disks":{{"data":%s,"root":%s,"tmp":%s}}}}\\n' \\
  "$boot" "$up" "$load" "$a" "$t" "$(date +%s)" "$process" "$(kb {data})" "$(kb /)" "$(kb "${{TMPDIR:-/tmp}}")"
"""
# What a host prints where all is well; its clock is nobody's.
SAMPLE = (
    '{"boot_id":"6c3b1e0a-1111-4222-8333-444455556666","uptime":86400.5,"load":0.1,"memory_kb":[1500000,2000000],'
    '"clock":0,"process":true,"disks":{"data":[9000000,10000000],"root":[9000000,10000000],"tmp":[9000000,10000000]}}\n'
)


def probe(manager: BaseManager, node: Instance) -> Script:
    """Look at the host; returns a Machine. Raises CommandFailed where what it prints cannot be read."""
    script = _PROBE.format(running=scripts.RUNNING, data=quote(manager.data_path(node)),
                           process=quote(scripts.process_name(manager.process)))  # fmt: skip
    answer = yield Run(script, title="look how it is", timeout=PROBE_SECONDS, changes=False, sample=SAMPLE)
    return read(answer.stdout, node.name)


def ask(manager: BaseManager, node: Instance, primary: Instance | None, *, count: bool = False) -> Script:
    """Ask the engine itself; returns an Engine. `primary` is None where the node is alone: then it is logged in to.

    With `count` the same command asks for its numbers. Raises CommandFailed where it does not answer.
    """
    if primary is not None and manager.topology is not None:
        asking = manager.topology.standing(node, primary)
    elif (question := manager.question(node)) is not None:
        asking = _login(replace(question, title="see whether it answers"))
    else:
        return Engine(answers=True)
    counting = manager.counting if count else None
    if counting is None:
        return Engine(answers=True, standing=(yield from asking))
    standing, numbers = yield from counting.along(asking)
    if standing is not None and standing.follows and counting.received:
        numbers[counting.received] = float(standing.received)
    return Engine(answers=True, standing=standing, numbers=numbers)


def _login(question: Run) -> Script:
    yield question


def read(output: str, name: str) -> Machine:
    """The probe's line. Raises CommandFailed with a sentence for anything else."""
    try:
        said = json.loads(output)
        available, total = (_whole(one) * 1024 for one in said["memory_kb"])
        disks = {place: Disk(*(_whole(one) * 1024 for one in said["disks"][place])) for place in (DATA, ROOT, TMP)}
        process = said["process"]
        if process not in (None, True, False) or not isinstance(said["boot_id"], str) or not said["boot_id"]:
            raise TypeError
        return Machine(
            boot_id=said["boot_id"], uptime=float(said["uptime"]), load=float(said["load"]), memory_available=available,
            memory_total=total, clock=float(said["clock"]), disks=disks, process=process,
        )  # fmt: skip
    except KeyError as error:
        lacks = f"lacks {error}"
    except (TypeError, ValueError):
        lacks = f"cannot be read: {output.strip()[:120]!r}"
    raise CommandFailed(f"the probe of {name} {lacks}", code=1, command="look how it is",
                        what_to_do="see that awk and df work on the host")  # fmt: skip


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError
    return value
