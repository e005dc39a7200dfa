import { createHash } from 'node:crypto'
import type { FormatName } from '../../src/config/formats.ts'
import { flywayChecksum } from '../../src/formats/flyway-checksum.ts'
import { hashOf } from '../../src/formats/graphile-file.ts'
import type { Sql } from './postgres.ts'

/** A migration as every format can say it. `alone`: asks to run outside a transaction, where the format has a word for that. */
export type Part = { up: string; down?: string; alone?: boolean }

/** One format: how its files look, and what its tool leaves in the database. Numbers of migrations count from 1. */
export type Format = {
  name: FormatName
  /** Whether its migrations can be undone. */
  down: boolean
  /** Files by path, and where the text of a migration begins to be that of its part. */
  files(parts: Part[]): Record<string, string>
  /** Path of the file that holds a migration. */
  path(n: number): string
  /** As `migrate` names it. */
  title(n: number): string
  /** What its tool creates, in its own words. */
  ddl: string
  /** What its tool does when it has applied a migration, in its own words. */
  record(n: number, files: Record<string, string>): string
  /** All that its tool keeps, apart from times and the ids of sequences. */
  rows(sql: Sql): Promise<object[]>
  /** What these are when the migrations were applied in this order, which is that of their numbers. */
  expected(applied: number[], files: Record<string, string>): object[]
}

const name = (n: number) => `m${n}`
const pad = (n: number, length: number) => String(n).padStart(length, '0')
const query = (text: string) => (sql: Sql) => sql.unsafe(text).then((rows) => rows.map((row) => ({ ...row })))
const merged = (list: Record<string, string>[]) => Object.assign({}, ...list) as Record<string, string>
const numbered = <T>(parts: Part[], make: (part: Part, n: number) => T) => parts.map((part, i) => make(part, i + 1))

/** Two files for each migration. */
const pairs =
  (up: (n: number) => string, down: (n: number) => string, directive: string) =>
  (parts: Part[]): Record<string, string> =>
    merged(
      numbered(parts, (part, n) => ({
        [up(n)]: `${part.alone ? directive : ''}${part.up}\n`,
        ...(part.down !== undefined && { [down(n)]: `${part.alone ? directive : ''}${part.down}\n` }),
      })),
    )

const pgbosun: Format = {
  name: 'pgbosun',
  down: true,
  files: pairs(
    (n) => `${pad(n, 3)}_${name(n)}.sql`,
    (n) => `${pad(n, 3)}_${name(n)}.down.sql`,
    '-- pgbosun: no-transaction\n',
  ),
  path: (n) => `${pad(n, 3)}_${name(n)}.sql`,
  title: (n) => `${pad(n, 3)}_${name(n)}`,
  ddl: '',
  record: () => '',
  rows: query('select version::int, name, status from pgbosun.migrations order by version'),
  expected: (applied) => applied.map((n) => ({ version: n, name: `${pad(n, 3)}_${name(n)}`, status: 'applied' })),
}

const sha384 = (text = '') => createHash('sha384').update(text).digest('hex')

const sqlx: Format = {
  name: 'sqlx',
  down: true,
  files: pairs(
    (n) => `${n}_${name(n)}.up.sql`,
    (n) => `${n}_${name(n)}.down.sql`,
    '-- no-transaction\n',
  ),
  path: (n) => `${n}_${name(n)}.up.sql`,
  title: (n) => `${n}_${name(n)}`,
  ddl: `CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version BIGINT PRIMARY KEY, description TEXT NOT NULL, installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
    success BOOLEAN NOT NULL, checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL)`,
  record: (n, files) =>
    `insert into _sqlx_migrations (version, description, success, checksum, execution_time)
     values (${n}, '${name(n)}', true, '\\x${sha384(files[sqlx.path(n)])}', 1234567)`,
  rows: query(`select version::int, description, success, encode(checksum, 'hex') as checksum, execution_time > 0 as timed
                 from _sqlx_migrations order by version`),
  expected: (applied, files) =>
    applied.map((n) => ({
      version: n,
      description: name(n),
      success: true,
      checksum: sha384(files[sqlx.path(n)]),
      timed: true,
    })),
}

const dbmate: Format = {
  name: 'dbmate',
  down: true,
  files: (parts) =>
    merged(
      numbered(parts, ({ up, down = '', alone }, n) => {
        const option = alone ? ' transaction:false' : ''
        return { [dbmate.path(n)]: `-- migrate:up${option}\n${up}\n\n-- migrate:down${option}\n${down}\n` }
      }),
    ),
  path: (n) => `${pad(n, 3)}_${name(n)}.sql`,
  title: (n) => `${pad(n, 3)}_${name(n)}`,
  ddl: 'create table if not exists "public"."schema_migrations" (version varchar primary key)',
  record: (n) => `insert into "public"."schema_migrations" (version) values ('${pad(n, 3)}')`,
  rows: query('select version from schema_migrations order by version'),
  expected: (applied) => applied.map((n) => ({ version: pad(n, 3) })),
}

const golangMigrate: Format = {
  name: 'golang-migrate',
  down: true,
  files: pairs(
    (n) => `${pad(n, 6)}_${name(n)}.up.sql`,
    (n) => `${pad(n, 6)}_${name(n)}.down.sql`,
    '',
  ),
  path: (n) => `${pad(n, 6)}_${name(n)}.up.sql`,
  title: (n) => `${pad(n, 6)}_${name(n)}`,
  ddl: 'CREATE TABLE IF NOT EXISTS "public"."schema_migrations" (version bigint not null primary key, dirty boolean not null)',
  record: (n) => `truncate schema_migrations; insert into schema_migrations (version, dirty) values (${n}, false)`,
  rows: query('select version::int, dirty from schema_migrations'),
  expected: (applied) => applied.slice(-1).map((version) => ({ version, dirty: false })),
}

const goose: Format = {
  name: 'goose',
  down: true,
  files: (parts) =>
    merged(
      numbered(parts, ({ up, down = '', alone }, n) => ({
        [goose.path(n)]: `${alone ? '-- +goose NO TRANSACTION\n' : ''}-- +goose Up\n${up}\n\n-- +goose Down\n${down}\n`,
      })),
    ),
  path: (n) => `${pad(n, 5)}_${name(n)}.sql`,
  title: (n) => `${pad(n, 5)}_${name(n)}`,
  ddl: `CREATE TABLE goose_db_version (
    id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY,
    version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now());
    INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true)`,
  record: (n) => `INSERT INTO goose_db_version (version_id, is_applied) VALUES (${n}, true)`,
  rows: query('select version_id::int as version, is_applied from goose_db_version order by id'),
  expected: (applied) => [0, ...applied].map((version) => ({ version, is_applied: true })),
}

const crc = (text = '') => Number(flywayChecksum(text))

const flyway: Format = {
  name: 'flyway',
  down: false,
  files: (parts) => merged(numbered(parts, ({ up }, n) => ({ [flyway.path(n)]: `${up}\n` }))),
  path: (n) => `V${n}__${name(n)}.sql`,
  title: (n) => `V${n}__${name(n)}`,
  ddl: `CREATE TABLE "public"."flyway_schema_history" (
    "installed_rank" INT NOT NULL, "version" VARCHAR(50), "description" VARCHAR(200) NOT NULL, "type" VARCHAR(20) NOT NULL,
    "script" VARCHAR(1000) NOT NULL, "checksum" INTEGER, "installed_by" VARCHAR(100) NOT NULL,
    "installed_on" TIMESTAMP NOT NULL DEFAULT now(), "execution_time" INTEGER NOT NULL, "success" BOOLEAN NOT NULL);
    ALTER TABLE "public"."flyway_schema_history" ADD CONSTRAINT "flyway_schema_history_pk" PRIMARY KEY ("installed_rank");
    CREATE INDEX "flyway_schema_history_s_idx" ON "public"."flyway_schema_history" ("success")`,
  record: (n, files) =>
    `insert into flyway_schema_history (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success)
     values (${n}, '${n}', '${name(n)}', 'SQL', '${flyway.path(n)}', ${crc(files[flyway.path(n)])}, current_user, 3, true)`,
  rows: query(`select installed_rank as rank, version, description, type, script, checksum, installed_by = current_user as me, success
                 from flyway_schema_history order by installed_rank`),
  expected: (applied, files) =>
    applied.map((n, i) => ({
      rank: i + 1,
      version: String(n),
      description: name(n),
      type: 'SQL',
      script: flyway.path(n),
      checksum: crc(files[flyway.path(n)]),
      me: true,
      success: true,
    })),
}

const nodePgMigrate: Format = {
  name: 'node-pg-migrate',
  down: true,
  files: (parts) =>
    merged(
      numbered(parts, ({ up, down = '' }, n) => ({
        [nodePgMigrate.path(n)]: `-- Up Migration\n${up}\n\n-- Down Migration\n${down}\n`,
      })),
    ),
  path: (n) => `170000000000${n}_${name(n)}.sql`,
  title: (n) => `170000000000${n}_${name(n)}`,
  ddl: 'CREATE TABLE "public"."pgmigrations" ( id SERIAL PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL )',
  record: (n) => `INSERT INTO "public"."pgmigrations" (name, run_on) VALUES ('${nodePgMigrate.title(n)}', NOW())`,
  rows: query('select name from pgmigrations order by run_on, id'),
  expected: (applied) => applied.map((n) => ({ name: nodePgMigrate.title(n) })),
}

/** Files that graphile-migrate committed, by their bodies. @param ending what follows the number in a name */
export function committed(bodies: string[], ending: (n: number) => string = () => ''): Record<string, string> {
  let previous: string | null = null
  return Object.fromEntries(
    bodies.map((body, i) => {
      const hash = hashOf(body, previous)
      const text = `--! Previous: ${previous ?? '-'}\n--! Hash: ${hash}\n\n${body}`
      previous = hash
      return [`committed/00000${i + 1}${ending(i + 1)}.sql`, text]
    }),
  )
}

/** Each names the hash of the one before. */
function chained(parts: Part[]): { text: string; hash: string; previous: string | null }[] {
  let previous: string | null = null
  return numbered(parts, ({ up, alone }, n) => {
    const body = `${alone ? '--! no-transaction\n' : ''}${up}\n`
    const hash = hashOf(body, previous)
    const text = `--! Previous: ${previous ?? '-'}\n--! Hash: ${hash}\n--! Message: ${name(n)}\n\n${body}`
    const link = { text, hash, previous }
    previous = hash
    return link
  })
}

const headerOf = (text: string | undefined, key: string) => {
  const value = new RegExp(`^--! ${key}: (.*)$`, 'm').exec(text ?? '')?.[1] ?? null
  return value === '-' ? null : value
}

const graphileMigrate: Format = {
  name: 'graphile-migrate',
  down: false,
  files: (parts) => merged(chained(parts).map(({ text }, i) => ({ [graphileMigrate.path(i + 1)]: text }))),
  path: (n) => `committed/${pad(n, 6)}-${name(n)}.sql`,
  title: (n) => `${pad(n, 6)}-${name(n)}`,
  ddl: `CREATE SCHEMA graphile_migrate;
    create table graphile_migrate.migrations (hash text PRIMARY KEY, previous_hash text REFERENCES graphile_migrate.migrations,
      filename text NOT NULL, date timestamptz NOT NULL DEFAULT now());
    create table graphile_migrate.current (filename text PRIMARY KEY DEFAULT 'current.sql', content text NOT NULL, date timestamptz NOT NULL DEFAULT now())`,
  record: (n, files) => {
    const text = files[graphileMigrate.path(n)]
    const previous = headerOf(text, 'Previous')
    return `insert into graphile_migrate.migrations (hash, previous_hash, filename)
      values ('${headerOf(text, 'Hash')}', ${previous === null ? 'null' : `'${previous}'`}, '${pad(n, 6)}.sql')`
  },
  rows: query('select hash, previous_hash, filename from graphile_migrate.migrations order by filename'),
  expected: (applied, files) =>
    applied.map((n) => ({
      hash: headerOf(files[graphileMigrate.path(n)], 'Hash'),
      previous_hash: headerOf(files[graphileMigrate.path(n)], 'Previous'),
      filename: `${pad(n, 6)}.sql`,
    })),
}

/** Every format that pgbosun reads. */
export const formats: Format[] = [pgbosun, sqlx, dbmate, golangMigrate, goose, flyway, nodePgMigrate, graphileMigrate]
