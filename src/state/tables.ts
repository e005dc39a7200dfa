// pure
/** The version of the state tables that this program writes. */
export const stateVersion = 2

/** Tables that exist only if they are used. */
export type StateTable = 'migrations' | 'migration_details' | 'seeds' | 'imports'

/** Tables that every state has. */
const always = ['state', 'events'] as const

/** A column: name, type as format_type writes it, and default. */
export type Column = [name: string, type: string, fallback?: 'now' | 'user']

type Definition = { create: string; columns: Column[] }

const now = `pg_catalog.clock_timestamp()`

/** Columns about a migration that both tables have. */
const recorded: Column[] = [
  ['name', 'text'],
  ['sha256', 'text'],
  ['status', 'text'],
  ['applied_at', 'timestamp with time zone', 'now'],
  ['duration_ms', 'integer'],
  ['applied_by', 'text', 'user'],
  ['tool_version', 'text'],
  ['progress', 'jsonb'],
]

/**
 * Without CHECK constraints: they would be code that runs with the rights of whoever writes a row, chosen by whoever can change them.
 * Uniqueness is an index, not a constraint, because some users' scripts rename all constraints.
 */
export const stateTables: Record<StateTable | (typeof always)[number], Definition> = {
  state: {
    create: `create table pgbosun.state (version int not null, hold jsonb, notes jsonb);
      create unique index state_one_row on pgbosun.state ((true));
      insert into pgbosun.state (version) values (${stateVersion})`,
    columns: [
      ['version', 'integer'],
      ['hold', 'jsonb'],
      ['notes', 'jsonb'],
    ],
  },
  migrations: {
    create: `create table pgbosun.migrations (
        seq int primary key, previous int references pgbosun.migrations, version bigint not null,
        name text not null, sha256 text not null, status text not null,
        applied_at timestamptz not null default ${now}, duration_ms int,
        applied_by text not null default session_user, tool_version text not null, progress jsonb);
      create unique index migrations_version on pgbosun.migrations (version)`,
    columns: [['seq', 'integer'], ['previous', 'integer'], ['version', 'bigint'], ...recorded],
  },
  migration_details: {
    create: `create table pgbosun.migration_details (
        seq int primary key, previous int references pgbosun.migration_details,
        history text not null, id text not null, name text not null, sha256 text not null, status text not null,
        applied_at timestamptz not null default ${now}, duration_ms int,
        applied_by text not null default session_user, tool_version text not null, progress jsonb)`,
    columns: [['seq', 'integer'], ['previous', 'integer'], ['history', 'text'], ['id', 'text'], ...recorded],
  },
  seeds: {
    create: `create table pgbosun.seeds (
        name text primary key, checksum text not null, rows bigint,
        applied_at timestamptz not null default ${now}, tool_version text not null)`,
    columns: [
      ['name', 'text'],
      ['checksum', 'text'],
      ['rows', 'bigint'],
      ['applied_at', 'timestamp with time zone', 'now'],
      ['tool_version', 'text'],
    ],
  },
  imports: {
    create: `create table pgbosun.imports (
        name text primary key, source jsonb not null, rows bigint,
        imported_at timestamptz not null default ${now}, tool_version text not null)`,
    columns: [
      ['name', 'text'],
      ['source', 'jsonb'],
      ['rows', 'bigint'],
      ['imported_at', 'timestamp with time zone', 'now'],
      ['tool_version', 'text'],
    ],
  },
  events: {
    create: `create table pgbosun.events (
        id bigint generated always as identity primary key, run_id uuid not null,
        at timestamptz not null default ${now}, actor text not null default session_user, command text not null,
        phase text not null, exit_code int, detail jsonb)`,
    columns: [
      ['id', 'bigint'],
      ['run_id', 'uuid'],
      ['at', 'timestamp with time zone', 'now'],
      ['actor', 'text', 'user'],
      ['command', 'text'],
      ['phase', 'text'],
      ['exit_code', 'integer'],
      ['detail', 'jsonb'],
    ],
  },
}

export type StateTableName = keyof typeof stateTables

/** The tables that a state must have, in the order in which they are created. */
export const tablesFor = (needs: readonly StateTable[]): StateTableName[] =>
  (Object.keys(stateTables) as StateTableName[]).filter(
    (name) => (always as readonly string[]).includes(name) || (needs as readonly string[]).includes(name),
  )

/** CHECK constraints of version 1, as pg_get_constraintdef writes them. */
export const checksOfVersion1 = [
  [`'applied'`, `'started'`, `'faked'`, `'adopted'`],
  [`'applied'`, `'started'`, `'faked'`, `'adopted'`, `'undone'`],
]
  .map((values) => `CHECK ((status = ANY (ARRAY[${values.map((value) => `${value}::text`).join(', ')}])))`)
  .concat(`CHECK ((phase = ANY (ARRAY['started'::text, 'finished'::text])))`)

/**
 * Upgrades version 1, in one transaction. Empty tables that nothing uses are dropped.
 * @param present names of the existing tables
 * @param needs tables that are used, and so are kept even if they are empty
 */
export function upgradeFrom1(present: readonly string[], needs: readonly StateTable[]): string[] {
  const has = (name: StateTableName) => present.includes(name)
  const unused = (['migrations', 'migration_details', 'seeds'] as const).filter(
    (name) => has(name) && !needs.includes(name),
  )
  return [
    ...present
      .filter((name) => Object.hasOwn(stateTables, name))
      .map(
        (name) => `do $$ declare c record; begin
          for c in select conname from pg_catalog.pg_constraint
                    where conrelid = 'pgbosun.${name}'::regclass and (contype = 'c' or contype = 'u' and 'pgbosun.${name}' = 'pgbosun.migrations') loop
            execute pg_catalog.format('alter table pgbosun.${name} drop constraint %I', c.conname);
          end loop; end $$`,
      ),
    ...unused.map(
      (name) =>
        `do $$ begin if not exists (select from pgbosun.${name}) then drop table pgbosun.${name}; end if; end $$`,
    ),
    `do $$ begin if pg_catalog.to_regclass('pgbosun.migrations') is not null then
       alter table pgbosun.migrations add column if not exists progress jsonb;
       create unique index if not exists migrations_version on pgbosun.migrations (version); end if; end $$`,
    `alter table pgbosun.state add column hold jsonb, add column notes jsonb`,
    `update pgbosun.state set version = ${stateVersion}`,
  ]
}
