#!/bin/sh
# Install the named Debian packages that are missing, as root or through sudo; say so and stop where neither is to be had.
# Nothing that comes with them is started, now or at the next boot: DTrove and its tests start what they need themselves.
set -eu
missing=""
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    sudo=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
elif command -v sudo >/dev/null && [ -t 0 ]; then
    sudo="sudo"
else
    echo "DTrove needs these packages, and only root can install them:" >&2
    echo "    apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
if ! command -v apt-get >/dev/null; then
    echo "DTrove needs, under whatever name this system has them:$missing" >&2
    exit 1
fi

# A policy of the machine's own is left alone; ours keeps apt from starting a system-wide RabbitMQ, and goes again.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ] && [ ! -L $policy ]; then
    trap '$sudo rm -f $policy' EXIT
    trap 'exit 1' INT TERM
    printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
    $sudo chmod 755 $policy
fi
log=$(mktemp)
echo "installing$missing"
install() {
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1 </dev/null
}
# shellcheck disable=SC2086
if ! { install update && install install --yes --no-install-recommends $missing; }; then
    tail -n 20 "$log" >&2
    echo "apt could not install$missing (whole log: $log)" >&2
    exit 1
fi
rm -f "$log"
disable() { [ ! -d /run/systemd/system ] || $sudo systemctl --quiet disable "$1"; }
for package in $missing; do
    case $package in
    rabbitmq-server | postgresql) disable $package ;;
    openssh-server) disable ssh ;;
    esac
done
