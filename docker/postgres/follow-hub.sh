#!/bin/bash
# The hub's standby: copies the hub on its first start, asks it to commit only what this copy has, and follows it.
# Once promoted it is a primary like any other and stays one.
set -euo pipefail
passwords=/tmp/passwords
(umask 077; printf '*:*:*:opshub_standby:%s\n' "$(cat /run/secrets/OPSHUB_HUB_REPLICATION_PASSWORD)" > $passwords)
export PGPASSFILE=$passwords
hub="host=hub user=opshub_standby application_name=standby connect_timeout=5"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  rm -rf "$PGDATA"; mkdir -p "$PGDATA"; chmod 700 "$PGDATA"
  pg_basebackup --dbname="$hub passfile=$passwords" --pgdata="$PGDATA" --write-recovery-conf --wal-method=stream --checkpoint=fast \
    --create-slot --slot=standby || { rm -rf "$PGDATA"; exit 1; }
fi
# As the hub's own settings file is mounted, only this one may hold how to follow.
if [ -f "$PGDATA/standby.signal" ]; then
  follow() {
    until psql --no-psqlrc --quiet -d "$hub dbname=postgres" \
      -c "ALTER SYSTEM SET synchronous_standby_names = 'standby'" -c "SELECT pg_reload_conf()" >/dev/null 2>&1; do sleep 2; done
  }
  follow &
fi
exec "$@"
