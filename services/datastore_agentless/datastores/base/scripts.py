"""The shell that all managers share: plain POSIX sh, for hosts with systemd and without, and without procps or iproute2."""

from __future__ import annotations

from services.datastore_agentless.hosts.base import quote

READ_UNITS = "[ ! -d /run/systemd/system ] || systemctl daemon-reload"
# The kernel keeps fifteen characters of a process's name.
_NAME = 15
# An init system that starts what has ended once more does so within a fraction of a second.
GONE_LOOKS = 8

# running NAME: whether a process of that name lives; a zombie does not. pids NAME: their numbers.
RUNNING = """pids() {
  for f in /proc/[0-9]*/stat; do
    { read -r s < "$f"; } 2>/dev/null || continue
    case $s in *"($1) Z "*|*"($1) X "*) ;; *"($1) "*) echo "${s%% *}";; esac
  done
}
running() { [ -n "$(pids "$1")" ]; }
"""


def process_name(process: str) -> str:
    """A process's name as the kernel keeps it."""
    return process[:_NAME]


def answers(port: int) -> str:
    """A condition: something listens on the TCP port. Source: proc(5), /proc/net/tcp, state 0A is LISTEN."""
    return f"grep -qs ':{port:04X} [0-9A-F]*:0000 0A ' /proc/net/tcp /proc/net/tcp6"


def service(verb: str, name: str) -> str:
    """Start or stop a service, whatever the init system; all three descriptors are closed, or sshd would wait."""
    quoted = quote(name)
    ending = "false" if verb == "start" else "true"
    return (
        f"if [ -d /run/systemd/system ]; then systemctl {verb} {quoted} || {{ "
        f"systemctl status --no-pager -n 20 {quoted} >&2; {ending}; }}; "
        f"else service {quoted} {verb} </dev/null >/run/dtrove-service.log 2>&1 || "
        f"{{ cat /run/dtrove-service.log >&2; {ending}; }}; fi"
    )


def at_boot(name: str, starts: bool) -> str:
    """Have the init system start a service at boot, or not; whether it runs now stays as it is.

    One after the other: two `update-rc.d` rename each other's links away, and replicas that join at the same time all tell their primary.
    """
    verb, quoted = ("enable" if starts else "disable"), quote(name)
    return (
        "exec 9< /etc; flock -w 30 9 || { echo /etc stays locked >&2; exit 1; }; "
        f"if [ -d /run/systemd/system ]; then systemctl {verb} {quoted}; else update-rc.d {quoted} {verb}; fi"
    )


def gone(process: str) -> str:
    """Wait up to thirty seconds until no process of this name lives; help it along after two."""
    name = quote(process_name(process))
    return (
        f"{RUNNING}n=0; while running {name}; do n=$((n+1)); "
        f"[ $n -ne 20 ] || kill -TERM $(pids {name}) 2>/dev/null; "
        f"[ $n -lt 300 ] || {{ kill -KILL $(pids {name}) 2>/dev/null; sleep 0.2; break; }}; sleep 0.1; done; "
        f"! running {name}"
    )


def alive(process: str) -> str:
    """Prints `yes` while a process of this name lives."""
    return f"{RUNNING}running {quote(process_name(process))} && echo yes || echo no"


def listening(port: int, process: str = "", patience: int = GONE_LOOKS) -> str:
    """Wait up to a minute until something listens on the port; not so long where no process of this name has lived for `patience`
    looks, one each half second: who has refused its configuration never will.
    """
    look, trouble = ":", f"echo 'nothing listens on port {port}' >&2; exit 1"
    if process:
        name = quote(process_name(process))
        look = (
            f"[ $((n % 10)) -ne 0 ] || {{ if running {name}; then gone=0; else gone=$((gone+1)); fi; "
            f"[ $gone -lt {patience} ] || {{ echo '{process} has ended again' >&2; exit 1; }}; }}"
        )
    return (
        f"{RUNNING if process else ''}n=0; gone=0; until {answers(port)}; do n=$((n+1)); {look}; "
        f"[ $n -lt 1200 ] || {{ {trouble}; }}; sleep 0.05; done"
    )
