"""The shell that all managers share: plain POSIX sh, for hosts with systemd and without."""

from __future__ import annotations

from collections.abc import Iterator

from services.datastore_agentless.hosts.base import quote

FACTS = """. /etc/os-release 2>/dev/null; echo "os=$ID"; echo "uid=$(id -u)"
echo "disk_mb=$(df -Pm {directory} 2>/dev/null | awk 'NR==2 {{print $4}}')"
echo "memory_mb=$(awk '/MemTotal/ {{print int($2/1024)}}' /proc/meminfo)"
echo "apt=$(command -v apt-get || echo none)"
echo "clock=$(date +%s)"
if [ -n "$(command -v ss)" ] && ss -Hltn "sport = :{port}" | grep -q . && ! pgrep -x {process} >/dev/null; then echo port=taken; else echo port=free; fi
missing=""
for p in {packages}; do
  dpkg-query -W -f '${{Status}}' $p 2>/dev/null | grep -q 'ok installed' && continue
  apt-cache show $p >/dev/null 2>&1 || missing="$missing $p"
done
if [ -n "$missing" ] && apt-get update -qq >/dev/null 2>&1; then
  still=""
  for p in $missing; do apt-cache show $p >/dev/null 2>&1 || still="$still $p"; done
  missing=$still
fi
echo "missing=$missing"
"""

# What FACTS prints on a host that is fit.
FIT = "os=debian\nuid=0\ndisk_mb=10000\nmemory_mb=4096\napt=/usr/bin/apt-get\nport=free\nmissing=\n"

INSTALLED = """for p in {packages}; do
  dpkg-query -W -f '${{Status}}' $p 2>/dev/null | grep -q 'ok installed' || exit 1
done; echo yes"""

INSTALL = """set -u
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then printf '#!/bin/sh\\nexit 101\\n' > $policy; chmod 755 $policy; ours=yes; else ours=no; fi
trap '[ $ours = no ] || rm -f $policy' EXIT
apt() {{ apt-get -q -y -o DPkg::Lock::Timeout={lock} -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 "$@"; }}
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] || \\
  printf "create_main_cluster = false\\nadd_include_dir = 'conf.d'\\n" > /etc/postgresql-common/createcluster.conf
dpkg --configure -a || exit 1
apt install --no-install-recommends {packages} && exit 0
apt update || exit 1
apt install --no-install-recommends {packages}
"""


def objections(facts: dict[str, str], disk_mb: int, port: int) -> Iterator[tuple[str, str]]:
    """What speaks against a host, each with a remedy."""
    if facts.get("uid") != "0":
        yield "commands do not run as root", "set DTROVE_PREFIX so that they do, for example `sudo -n `"
    if facts.get("apt") == "none":
        yield f"it has no apt ({facts.get('os') or 'unknown system'})", "use a Debian or Ubuntu image"
    if facts.get("disk_mb", "").isdigit() and int(facts["disk_mb"]) < disk_mb:
        yield f"only {facts['disk_mb']} MB of disk are free, {disk_mb} are needed", "choose a larger flavor or volume"
    if facts.get("port") == "taken":
        yield f"another program listens on port {port}", "stop it, or choose another host"
    if facts.get("missing", "").strip():
        yield (f"its package source does not have:{facts['missing']}",
               "see whether the datastore's packages are right for the image, and the source reachable")  # fmt: skip


def service(verb: str, name: str) -> str:
    """Start or stop a service, whatever the init system; all three descriptors are closed, or sshd would wait."""
    quoted = quote(name)
    return (
        f"if [ -d /run/systemd/system ]; then systemctl {verb} {quoted}; "
        f"else service {quoted} {verb} </dev/null >/tmp/dtrove-service.log 2>&1 || "
        f"{{ cat /tmp/dtrove-service.log >&2; {'false' if verb == 'start' else 'true'}; }}; fi"
    )


def gone(process: str) -> str:
    """Wait up to thirty seconds until no process of this name lives; then help it along."""
    name = quote(process)
    return (
        f"n=0; while pgrep -x {name} >/dev/null; do n=$((n+1)); [ $n -lt 300 ] || {{ pkill -KILL -x {name}; sleep 0.2; "
        f"break; }}; [ $n -ne 20 ] || pkill -TERM -x {name}; sleep 0.1; done; ! pgrep -x {name} >/dev/null"
    )


def listening(port: int) -> str:
    """Wait up to a minute until something listens on the port."""
    return (
        f"n=0; until ss -Hltn 'sport = :{port}' | grep -q .; do n=$((n+1)); "
        f"[ $n -lt 1200 ] || {{ echo 'nothing listens on port {port}' >&2; exit 1; }}; sleep 0.05; done"
    )
