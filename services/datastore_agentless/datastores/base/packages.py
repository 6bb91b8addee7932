"""Packages through apt: plain POSIX sh, what its words mean, and what to do about them."""

from __future__ import annotations

from collections.abc import Sequence

from services.datastore_agentless.hosts.base import Progress, quote

# How long to wait for whoever holds dpkg's lock, in seconds.
LOCK_SECONDS = 300
_WAITING = "dtrove-waiting:"
# apt's kinds of status lines, and the percent of the whole preparation that each goes through.
_PHASES = {"dlstatus": ("downloading packages", 5, 20), "pmstatus": ("installing packages", 20, 70)}

INSTALLED = """for p in {packages}; do
  dpkg-query -W -f '${{Status}}' "${{p%%=*}}" 2>/dev/null | grep -q '^install ok installed' || exit 1
done; echo yes"""

# The lock is dpkg's own; it tells who holds it and does not wait, so the waiting is done here, and said.
INSTALL = """set -u
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ] && [ ! -L $policy ] || grep -qs '^# DTrove' $policy; then
  printf '#!/bin/sh\\n# DTrove: nothing starts before it is configured.\\nexit 101\\n' > $policy; chmod 755 $policy
  trap 'rm -f $policy' EXIT
  trap 'exit 1' INT TERM
fi
n=0
while :; do
  words=$(dpkg --configure -a 2>&1) && break
  case $words in *lock*) ;; *"dependency problems"*) break;; *) echo "$words" >&2; exit 1;; esac
  n=$((n+1))
  if [ $n -gt {lock} ]; then echo "$words" >&2; exit 1; fi
  pid=$(echo "$words" | sed -n 's/.*with pid \\([0-9]*\\).*/\\1/p')
  echo "{waiting}$(cat "/proc/${{pid:-none}}/comm" 2>/dev/null || echo another program)"
  sleep 1
done
apt() {{
  apt-get -q -y -o DPkg::Lock::Timeout={lock} -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 \\
    -o APT::Status-Fd=1 -o Acquire::Retries=2 "$@"
}}
mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] || \\
  printf "create_main_cluster = false\\nadd_include_dir = 'conf.d'\\n" > /etc/postgresql-common/createcluster.conf
words=$(mktemp)
apt install --no-install-recommends {packages} 2> "$words" && exit 0
# The index may be missing, or older than what the source still has.
case $(cat "$words") in *"Unable to locate"*|*"Failed to fetch"*|*"no installation candidate"*|*"unmet dependencies"*) ;;
  *) cat "$words" >&2; exit 1;;
esac
n=0
until apt update 2> "$words" && cat "$words" >&2; do
  cat "$words" >&2
  grep -q "Could not get lock" "$words" && [ $n -lt {lock} ] || exit 1
  n=$((n+1)); echo "{waiting}another apt"; sleep 1
done
apt -f install --no-install-recommends {packages}
"""

_REMEDIES = (
    ("No space left on device", "the disk of {host} is full", "choose a larger flavor, or make room; then retry"),
    ("dpkg frontend lock", "another program has held the package manager of {host} for more than {lock} s",
     "wait for it (often unattended-upgrades after the first boot), then retry"),
    ("Could not get lock", "another program has held the package manager of {host} for more than {lock} s",
     "wait for it (often unattended-upgrades after the first boot), then retry"),
    ("Failed to fetch", "{host} does not reach its package source",
     "see that its network, its name server and its apt sources work; then retry"),
    ("Unable to locate package", "the package source of {host} does not have {packages}",
     "mend the datastore's packages, or the image's apt sources; then retry"),
    ("no installation candidate", "the package source of {host} does not have {packages}",
     "mend the datastore's packages, or the image's apt sources; then retry"),
    ("error processing package", "a package on {host} could not be set up",
     "read its last words, mend the cause on the host (dpkg --configure -a shows it), then retry"),
)  # fmt: skip


def installed(packages: Sequence[str]) -> str:
    """Prints `yes` where every package is installed and configured, else ends with 1."""
    return INSTALLED.format(packages=_words(packages))


def install(packages: Sequence[str]) -> str:
    """Installs packages, with nothing started; waits for dpkg's lock and says for whom."""
    return INSTALL.format(packages=_words(packages), lock=LOCK_SECONDS, waiting=_WAITING)


def progress(line: str) -> Progress | None:
    """What a line of the installation says about how far it is: apt's status lines, and who is waited for."""
    if line.startswith(_WAITING):
        return Progress(f"waiting for the package manager, which {line.removeprefix(_WAITING)} holds")
    kind, _, rest = line.partition(":")
    parts = rest.split(":", 2)
    if kind not in _PHASES or len(parts) < 3:
        return None
    title, begin, end = _PHASES[kind]
    try:
        return Progress(title, round(begin + float(parts[1]) / 100 * (end - begin)))
    except ValueError:
        return None


def remedy(stderr: str, host: str, packages: Sequence[str]) -> tuple[str, str]:
    """What went wrong in one sentence, and what to do about it, by what apt said."""
    values = {"host": host, "packages": " ".join(packages), "lock": LOCK_SECONDS}
    for words, sentence, what_to_do in _REMEDIES:
        if words in stderr:
            return sentence.format(**values), what_to_do
    return (f"{values['packages']} could not be installed on {host}",
            "read the last lines of its output, mend the cause, then retry")  # fmt: skip


def _words(packages: Sequence[str]) -> str:
    return " ".join(quote(package) for package in packages)
