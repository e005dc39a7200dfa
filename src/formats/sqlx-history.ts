// pure
import { crc32 } from 'node:zlib'
import { quoteLiteral } from '../sql/quote.ts'
import type { NativeHistory } from './format.ts'
import type { Migration } from './types.ts'

/**
 * The history of sqlx: one row for each migration.
 * @see sqlx-postgres/src/migrate.rs
 */
export const sqlxHistory: NativeHistory = {
  table: '_sqlx_migrations',
  columns: ['version', 'description', 'installed_on', 'success', 'checksum', 'execution_time'],
  create: (table) => `create table if not exists ${table} (
    version bigint primary key,
    description text not null,
    installed_on timestamptz not null default pg_catalog.now(),
    success boolean not null,
    checksum bytea not null,
    execution_time bigint not null
  )`,
  select: (table) => `
    select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
             'id', version::text,
             'name', version || '_' || pg_catalog.replace(description, ' ', '_'),
             'kind', 'versioned',
             'checksum', pg_catalog.encode(checksum, 'hex'),
             'ok', success,
             'appliedAt', pg_catalog.to_char(installed_on at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
             'durationMs', case when execution_time >= 0 then execution_time / 1000000 end,
             'appliedBy', null) order by installed_on, version), '[]') as rows
      from ${table}`,
  record: (table, file) => insert(table, file, true),
  // sqlx calls a version without success partially applied, and does not continue either.
  start: (table, file) => insert(table, file, false),
  finish: (table, { id }) => `update ${table} set success = true where version = ${id}`,
  forget: (table, { id }) => `delete from ${table} where version = ${id} and not success`,
  durations: (table, files) =>
    `update ${table} t set execution_time = d.elapsed from (values ${files.map(duration).join(', ')}) d (version, elapsed)` +
    ' where t.version = d.version',
  unrecord: (table, { id }) => `delete from ${table} where version = ${id}`,
  realign: (table, file) => `update ${table} set checksum = ${bytea(file)} where version = ${file.id}`,
  lockKey: ({ database }) => BigInt.asIntN(64, lockFactor * BigInt(crc32(database))),
}

/** "Chosen by fair dice roll", says sqlx. */
const lockFactor = 0x3d32ad9en

/** Nanoseconds. */
const duration = ({ file, durationMs }: { file: Migration; durationMs: number }) =>
  `(${file.id}::bigint, ${Math.round(durationMs * 1_000_000)}::bigint)`

/** The time is not known yet: -1, as sqlx writes it at first. */
const insert = (table: string, file: Migration, success: boolean) =>
  `insert into ${table} (version, description, success, checksum, execution_time) ` +
  `values (${file.id}, ${quoteLiteral(String(file.native.description))}, ${success}, ${bytea(file)}, -1)`

const bytea = ({ checksum }: Migration) => `pg_catalog.decode('${checksum}', 'hex')`
