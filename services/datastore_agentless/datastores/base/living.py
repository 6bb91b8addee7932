"""Since when an engine lives, and what it wrote last: how a restart is believed, and why one has failed.

Source: proc(5), /proc/[pid]/stat, field 22.
"""

from __future__ import annotations

from services.datastore_agentless.datastores.base import scripts
from services.datastore_agentless.datastores.base.manager import BaseManager
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import ANY_CODE, TAIL_LINES, Run, Script, quote

# The first of its processes, by the clock of this boot. A name may hold a space, so all up to it is cut off.
_SINCE = """{running}
read -r boot < /proc/sys/kernel/random/boot_id
for p in $(pids {process}); do
  {{ read -r s < /proc/$p/stat; }} 2>/dev/null || continue
  s=${{s##*) }}; set -- $s; echo "${{20}}"
done | sort -n | sed -n "1s/^/$boot /p"
"""

# The log that the engine keeps itself, and what an init system knows of it: an engine that cannot read its configuration has no
# log yet, and says so there.
_LAST_WORDS = """{{ [ -z {log} ] || tail -n {half} {log}
[ ! -d /run/systemd/system ] || journalctl --no-pager -q -o cat -n {half} -u {service}
[ -d /run/systemd/system ] || cat /run/dtrove-service.log /run/dtrove-pg.log | tail -n {half}; }} 2>/dev/null
"""


def since(manager: BaseManager) -> Script:
    """Since when its process lives, as text that is another one after each restart; empty where it does not run, or where
    nobody knows its process.
    """
    if not manager.process:
        return ""
    process = quote(scripts.process_name(manager.process))
    answer = yield Run(_SINCE.format(running=scripts.RUNNING, process=process), title="see since when the engine lives",
                       changes=False)  # fmt: skip
    return answer.text


def last_words(manager: BaseManager, node: Instance) -> Script:
    """The last lines of its log; empty where there is none."""
    words = _LAST_WORDS.format(half=TAIL_LINES // 2, service=quote(f"{manager.service_name or manager.name}*"),
                               log=quote(manager.log_path(node)))  # fmt: skip
    answer = yield Run(words, title="read the engine's last words", changes=False, ok_codes=ANY_CODE)
    return answer.text
