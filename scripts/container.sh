#!/bin/sh
# What a service's container runs first. Whoever comes first makes keyring and first token, for all that share the
# volume; later starts find them. Then the container becomes the command that it was given.
set -eu
home=${DTROVE_HOME:-/var/lib/dtrove}
if [ -z "${DTROVE_KEYRING:-}" ]; then
    [ -s "$home/client.json" ] || flock "$home/.init" dtrove init
    if [ -z "${DTROVE_BOOTSTRAP_TOKEN_HASH:-}" ] && [ -s "$home/bootstrap_token_hash" ]; then
        DTROVE_BOOTSTRAP_TOKEN_HASH=$(cat "$home/bootstrap_token_hash")
        export DTROVE_BOOTSTRAP_TOKEN_HASH
    fi
fi
exec "$@"
