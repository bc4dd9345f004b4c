#!/bin/sh
# The PostgreSQL image runs this once, in a new database: the role that owns the schema and migrates, and the one that serves and owns
# nothing (docs/operations.md, "Two roles"). POSTGRES_DB names the database; the passwords come from docker/.env.
set -eu
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=name="$POSTGRES_DB" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv owner_password OWNER_PASSWORD
\getenv server_password SERVER_PASSWORD
\set owner :name _owner
\set server :name _server
CREATE ROLE :"owner" LOGIN PASSWORD :'owner_password';
CREATE ROLE :"server" LOGIN PASSWORD :'server_password';
ALTER DATABASE :"name" OWNER TO :"owner";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"name" TO :"server";
SQL
