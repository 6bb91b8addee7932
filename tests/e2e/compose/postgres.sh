#!/bin/sh
# PostgreSQL in the foreground; the first start makes the user POSTGRES_USER with POSTGRES_PASSWORD and runs
# /docker-entrypoint-initdb.d/*.sql, as the registry's image does.
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    printf '%s' "$POSTGRES_PASSWORD" >/tmp/password
    "$bin/initdb" --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 >/dev/null
    rm /tmp/password
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    "$bin/pg_ctl" -w -o "-c listen_addresses=''" start >/dev/null
    for file in /docker-entrypoint-initdb.d/*.sql; do
        psql --quiet --username="$POSTGRES_USER" --dbname=postgres --set=ON_ERROR_STOP=1 --file="$file"
    done
    "$bin/pg_ctl" -w -m fast stop >/dev/null
fi
exec "$bin/postgres" -c listen_addresses='*'
