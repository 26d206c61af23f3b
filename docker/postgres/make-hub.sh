#!/bin/bash
# Runs once, on the first start of the hub's database: its owner and a role for a standby, which may name itself as synchronous.
psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet -U "$POSTGRES_USER" -d postgres \
  -v owner="$(cat /run/secrets/OPSHUB_HUB_PASSWORD)" -v standby="$(cat /run/secrets/OPSHUB_HUB_REPLICATION_PASSWORD)" <<'SQL'
CREATE ROLE opshub LOGIN PASSWORD :'owner';
CREATE DATABASE opshub OWNER opshub;
CREATE ROLE opshub_standby LOGIN REPLICATION PASSWORD :'standby';
GRANT ALTER SYSTEM ON PARAMETER synchronous_standby_names TO opshub_standby;
GRANT EXECUTE ON FUNCTION pg_reload_conf() TO opshub_standby;
SQL
printf 'host replication opshub_standby all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
