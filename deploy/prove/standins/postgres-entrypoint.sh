#!/bin/sh
# POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, POSTGRES_INITDB_ARGS: as the real image's.
set -eu
if [ "$(id -u)" = 0 ]; then
    chown postgres "$PGDATA"
    chmod 0700 "$PGDATA"
    exec gosu postgres "$0" "$@"
fi
user=${POSTGRES_USER:-postgres}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    umask 077
    password=${POSTGRES_PASSWORD_FILE:-$(mktemp)}
    [ -n "${POSTGRES_PASSWORD_FILE:-}" ] || echo "$POSTGRES_PASSWORD" >"$password"
    # shellcheck disable=SC2086 # several arguments in one variable
    initdb --username="$user" --pwfile="$password" ${POSTGRES_INITDB_ARGS:-}
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    [ "${POSTGRES_DB:-$user}" = postgres ] ||
        echo "CREATE DATABASE \"${POSTGRES_DB:-$user}\"" | postgres --single -j postgres >/dev/null
fi
exec postgres -c listen_addresses='*' "$@"
