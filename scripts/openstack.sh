#!/bin/sh
# Run a command that finds a real OpenStack in its environment: the one that OS_CLOUD names, or one that the program at RIG
# brings up. RIG is called as `RIG up`, and prints a line that begins with `export OS_CLIENT_CONFIG_FILE=`.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${OS_CLOUD:-}" ]; then
    if [ -z "${RIG:-}" ]; then
        echo 'no cloud is named: set OS_CLOUD (and OS_CLIENT_CONFIG_FILE where its clouds.yaml is), or' >&2
        echo 'RIG=/path/to/a/program that brings one up' >&2
        exit 2
    fi
    said=$("$RIG" up) || { printf '%s\n' "$said" >&2; exit 1; }
    names=$(printf '%s\n' "$said" | sed -n 's/#.*//; s/^export \(OS_CLIENT_CONFIG_FILE=.*\)/\1/p')
    [ -n "$names" ] || { printf '%s\n' "$said" "$RIG did not say where its clouds.yaml is" >&2; exit 1; }
    # shellcheck disable=SC2086
    exec env $names "$@"
fi
exec "$@"
