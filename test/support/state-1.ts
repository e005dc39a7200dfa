/** The state as version 1 made it, for tests of what takes it over. */
export const stateOfVersion1 = `
  create schema pgbosun;
  create table pgbosun.state (version int not null);
  create unique index state_one_row on pgbosun.state ((true));
  insert into pgbosun.state (version) values (1);
  create table pgbosun.migrations (
    seq int primary key, previous int references pgbosun.migrations, version bigint not null unique,
    name text not null, sha256 text not null,
    status text not null check (status in ('applied', 'started', 'faked', 'adopted')),
    applied_at timestamptz not null default clock_timestamp(), duration_ms int,
    applied_by text not null default session_user, tool_version text not null, progress jsonb);
  create table pgbosun.migration_details (
    seq int primary key, previous int references pgbosun.migration_details,
    history text not null, id text not null, name text not null, sha256 text not null,
    status text not null check (status in ('applied', 'started', 'faked', 'adopted', 'undone')),
    applied_at timestamptz not null default clock_timestamp(), duration_ms int,
    applied_by text not null default session_user, tool_version text not null, progress jsonb);
  create table pgbosun.seeds (
    name text primary key, checksum text not null, rows bigint,
    applied_at timestamptz not null default clock_timestamp(), tool_version text not null);
  create table pgbosun.events (
    id bigint generated always as identity primary key, run_id uuid not null,
    at timestamptz not null default clock_timestamp(), actor text not null default session_user, command text not null,
    phase text not null check (phase in ('started', 'finished')), exit_code int, detail jsonb);`
