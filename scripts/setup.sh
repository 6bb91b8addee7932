#!/bin/sh
# Make this machine ready: system packages where they are missing, and .venv as requirements.lock says.
# A second run sees that nothing is to do and ends at once. With --test also what the suite itself needs.
set -eu
cd "$(dirname "$0")/.."

python=$(sh scripts/python.sh) || python=""
if [ -z "$python" ] || ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    sh scripts/packages.sh python3 python3-venv
    python=$(sh scripts/python.sh) || {
        echo "no Python 3.11, 3.12 or 3.13 here; install one and name it: make setup DTROVE_PYTHON=/path/to/python3" >&2
        exit 1
    }
fi

answers() { command -v "$1" >/dev/null && "$1" info >/dev/null 2>&1 </dev/null; }

packages="openssh-client zstd e2fsprogs xfsprogs"
[ -n "${AMQP_URI:-}" ] || [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || packages="$packages rabbitmq-server"
if answers docker || answers podman; then
    answers docker || packages="$packages mmdebstrap"
else
    packages="$packages podman runc netavark aardvark-dns iptables nftables mmdebstrap"
fi
if [ "${1:-}" = --test ]; then
    packages="$packages postgresql openssh-server age curl"
    # The compose file is tried with Podman even where Docker serves everything else.
    answers podman || packages="$packages podman runc netavark aardvark-dns"
    # The console is tried in a real browser; one that is here will do.
    command -v chromium >/dev/null || command -v google-chrome >/dev/null || packages="$packages chromium"
    command -v node >/dev/null && command -v npm >/dev/null || packages="$packages nodejs npm"
fi
if command -v dpkg-query >/dev/null; then
    # shellcheck disable=SC2086
    sh scripts/packages.sh $packages
else
    for program in ssh zstd rabbitmq-server; do
        command -v $program >/dev/null || echo "not found: $program (install it with this system's package manager)" >&2
    done
fi

sh scripts/venv.sh "$python" .venv ${1:+"$1"}
