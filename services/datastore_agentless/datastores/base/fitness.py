"""Whether a host is fit, seen before anything on it is changed: facts, and what speaks against it in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.datastore_agentless.datastores.base import scripts
from services.datastore_agentless.hosts.base import quote

# Room for the packages on the root file system, and for an empty database beside them, in MB.
ROOT_MB, DATA_MB = 600, 200
CLOCK_SECONDS = 60.0
# A server of 512 MB shows a few percent less: the kernel takes its own first.
MEMORY_SHARE = 0.85

_FACTS = """[ ! -r /etc/os-release ] || . /etc/os-release
echo "os=${{ID:-unknown}} ${{VERSION_ID:-}}"; echo "uid=$(id -u)"
echo "apt=$(command -v apt-get || echo none)"
mb() {{ p=$1; while [ ! -d "$p" ]; do p=$(dirname "$p"); done; df -Pm "$p" 2>/dev/null | awk 'NR==2 {{print $4}}'; }}
echo "root_mb=$(mb /var/lib)"; echo "data_mb=$(mb {directory})"
m=$(awk '/MemTotal/ {{print int($2/1024)}}' /proc/meminfo)
for f in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
  [ -r $f ] && read -r c < $f && case $c in max|*[!0-9]*) ;; *) c=$((c/1048576)); [ $c -ge $m ] || m=$c;; esac
done
echo "memory_mb=$m"
{running}
if {taken} && ! running {process}; then echo port=taken; else echo port=free; fi
missing="" source=unasked
for p in {packages}; do
  dpkg-query -W -f '${{Status}}' "${{p%%=*}}" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $p"
done
[ -n "$(command -v apt-get)" ] || missing=""
if [ -n "$missing" ]; then
  t=$(mktemp -d); trap 'rm -rf $t' EXIT
  # One small file of the source tells whether it can be reached, by apt's own ways (proxies and all).
  index=$(apt-get indextargets --format '$(REPO_URI)dists/$(RELEASE)/InRelease' 'Created-By: Packages' 2>/dev/null | head -n 1)
  ask() {{ timeout 30 /usr/lib/apt/apt-helper -o Acquire::Retries=1 download-file "$index" "$t/index" >/dev/null 2>"$t/words"; }}
  if [ -n "$index" ]; then ask & asked=$!; else asked=; fi
  absent() {{
    known=" $(for p in "$@"; do echo "${{p%%=*}}"; done | xargs apt-cache madison 2>/dev/null | awk '{{print $1}}' | tr '\n' ' ')"
    for p in "$@"; do case "$known" in *" ${{p%%=*}} "*) ;; *) printf ' %s' "$p";; esac; done
  }}
  update() {{
    n=0
    # apt calls it a success when it fetched nothing and said so.
    until timeout 100 apt-get update -qq 2>"$t/words" && ! grep -q 'Failed to fetch' "$t/words"; do
      grep -q 'Could not get lock' "$t/words" && [ $n -lt 60 ] || return 1
      n=$((n+1)); sleep 1
    done
  }}
  missing=$(absent $missing)
  source=yes
  if [ -n "$asked" ] && ! wait $asked; then source=no
  elif [ -n "$missing" ]; then
    if update; then missing=$(absent $missing); else source=no; fi
  fi
  [ $source = yes ] || sed -n 's/^[WE]: //p' "$t/words" | head -n 1 | sed 's/^/words=/'
fi
echo "missing=$missing"; echo "source=$source"
echo "clock=$(date +%s)"
"""

# What the facts are on a host that is fit.
FIT = "os=debian 12\nuid=0\napt=/usr/bin/apt-get\nroot_mb=9000\ndata_mb=9000\nmemory_mb=4096\nport=free\nmissing=\nsource=yes\n"


@dataclass(frozen=True)
class Needs:
    """What a datastore asks of its host; sizes in MB, `now` is the controller's time in seconds since 1970."""

    packages: Sequence[str]
    port: int
    process: str
    ram_mb: int
    directory: str = ""
    now: float = 0.0


def facts(needs: Needs) -> str:
    """The shell that gathers the facts, one `name=value` a line."""
    return _FACTS.format(
        packages=" ".join(quote(one) for one in needs.packages), directory=quote(needs.directory or "/var/lib"),
        running=scripts.RUNNING, process=quote(needs.process or "none"), taken=scripts.answers(needs.port),
    )  # fmt: skip


def read(output: str) -> dict[str, str]:
    """The facts as they were printed."""
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def objections(found: dict[str, str], needs: Needs) -> Iterator[tuple[str, str]]:
    """What speaks against a host, each as a plain sentence with its remedy."""
    if found.get("uid") != "0":
        yield "commands do not run as root", "set DTROVE_PREFIX so that they do, for example `sudo -n `"
    if needs.packages and found.get("apt") == "none":
        yield f"it has no apt ({found.get('os', '').strip() or 'unknown system'})", "use a Debian or Ubuntu image"
    for name, least, where in (("root_mb", ROOT_MB, "/var/lib"), ("data_mb", DATA_MB, needs.directory or "/var/lib")):
        free = _number(found, name)
        if free is not None and free < least and (name != "root_mb" or needs.packages):
            yield f"only {free} MB are free on {where}, {least} are needed", "choose a larger flavor or volume"
    memory = _number(found, "memory_mb")
    if memory is not None and memory < needs.ram_mb * MEMORY_SHARE:
        yield f"it has {memory} MB of memory, {needs.ram_mb} are needed", "choose a larger flavor"
    if found.get("port") == "taken":
        yield f"another program listens on port {needs.port}", "stop it, or choose another host"
    yield from _about_source(found)
    offset = clock_offset(found, needs)
    if offset is not None and abs(offset) > CLOCK_SECONDS:
        side = "ahead of" if offset > 0 else "behind"
        yield f"its clock is {abs(offset):.0f} s {side} the controller's", "set the clocks, for example with chrony"


def clock_offset(found: dict[str, str], needs: Needs) -> float | None:
    """Seconds that the host's clock is ahead of the controller's, to about a second; None where it said nothing."""
    clock = _number(found, "clock")
    return None if clock is None else clock - needs.now


def _about_source(found: dict[str, str]) -> Iterator[tuple[str, str]]:
    if found.get("source") == "no":
        words = f": {found['words'].strip()}" if found.get("words", "").strip() else ""
        yield (f"it does not reach its package source{words}",
               "see that its network, its name server and its apt sources work")  # fmt: skip
    elif found.get("missing", "").strip():
        yield (f"its package source does not have {found['missing'].strip()}",
               "mend the datastore's packages, or use an image whose apt sources have them")  # fmt: skip


def _number(found: dict[str, str], name: str) -> int | None:
    text = found.get(name, "")
    return int(text) if text.isdigit() else None
