// pure
import { quoteIdent, quoteLiteral, quoteName, splitName } from '../sql/quote.ts'
import { javaHash } from './flyway-checksum.ts'
import type { NativeHistory } from './format.ts'
import type { Migration } from './types.ts'

/**
 * Flyway's history: a row for everything that was ever done, including what was undone or deleted.
 * @see JdbcTableSchemaHistory, PostgreSQLDatabase and DbRepair of Flyway
 */
export const flywayHistory: NativeHistory = {
  table: 'flyway_schema_history',
  columns: [
    'installed_rank',
    'version',
    'description',
    'type',
    'script',
    'checksum',
    'installed_by',
    'installed_on',
    'execution_time',
    'success',
  ],
  create,
  select,
  record: (table, file) => insert(table, file, true),
  // The same row as after a failure: Flyway then refuses to continue, instead of running the whole file again.
  start: (table, file) => insert(table, file, false),
  finish: (table, file) => `update ${table} set success = true where ${about(file)} and not success`,
  forget: (table, file) => `delete from ${table} where ${about(file)} and not success`,
  durations,
  unrecord,
  baseline: (table, { native }) =>
    row(table, [textOr(native.version), marker, quoteLiteral('BASELINE'), marker, 'null', '0', 'true']),
  realign: (table, file) =>
    `update ${table} set description = ${textOr(file.native.description)}, type = ${textOr(file.native.type)}, checksum = ${file.checksum}` +
    ` where installed_rank = (${rankOf(table, file)})`,
  prepare: setSearchPath,
  lockKey: ({ schema, table }) => lockMagic + BigInt(javaHash(quoteName(schema, table))),
}

/** The letters `Flyway`, as a number. */
const lockMagic = 0x466c79776179n

const marker = quoteLiteral('<< Flyway Baseline >>')

function create(table: string): string {
  const { name } = splitName(table)
  return `create table ${table} (
    "installed_rank" int not null,
    "version" varchar(50),
    "description" varchar(200) not null,
    "type" varchar(20) not null,
    "script" varchar(1000) not null,
    "checksum" integer,
    "installed_by" varchar(100) not null,
    "installed_on" timestamp not null default pg_catalog.now(),
    "execution_time" integer not null,
    "success" boolean not null
  );
  alter table ${table} add constraint ${quoteIdent(`${name}_pk`)} primary key ("installed_rank");
  create index ${quoteIdent(`${name}_s_idx`)} on ${table} ("success")`
}

/** {@link normalVersion} in SQL. Most versions are already normal, and regular expressions are slow. */
const normal =
  `case when version like '0%' or version like '%.0%' then ` +
  `pg_catalog.regexp_replace(pg_catalog.regexp_replace(version, '(^|[.])0+(?=[0-9])', ${quoteLiteral('\\1')}, 'g'), '([.]0)+$', '') else version end`

/** Rows that Flyway writes by itself, and baseline rows, which stand for all versions up to theirs; includes the names of old releases. */
const isMark = `(type in ('SCHEMA', 'INIT') or type like '%BASELINE' or type like '%STATE_SCRIPT')`
const isTakenBack = `(type = 'DELETE' or pg_catalog.starts_with(type, 'UNDO'))`

/**
 * Of all rows about one file, the newest counts; if that row deletes or undoes it, the file is not applied. A failed row counts
 * whatever came after it: Flyway does not continue until it is repaired. `installed_on` has no time zone: it is in that of the session.
 */
function select(table: string): string {
  return `
    select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
             'id', id,
             'name', case when pg_catalog.lower(pg_catalog.right(script, 4)) = '.sql' then pg_catalog.left(script, -4) else script end,
             'kind', case when mark and id is not null then 'baseline' when version is null and not mark then 'repeatable' else 'versioned' end,
             'checksum', checksum::text,
             'ok', ok,
             'appliedAt', pg_catalog.to_char(installed_on::timestamptz at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
             'durationMs', execution_time,
             'appliedBy', installed_by,
             'description', description) order by installed_rank), '[]') as rows
      from (select *, pg_catalog.row_number() over (partition by mark, id order by installed_rank desc) as age,
                   pg_catalog.bool_and(success) over (partition by mark, id) as ok
              from (select *, ${isMark} as mark,
                           case when version is not null then ${normal} when not ${isMark} then 'R:' || description end as id
                      from ${table}) r) r
     where age = 1 and not (ok and ${isTakenBack})`
}

function insert(table: string, { checksum, native }: Migration, success: boolean): string {
  const { version, description, script, type } = native
  return row(table, [
    textOr(version),
    textOr(description),
    textOr(type),
    textOr(script),
    checksum ?? 'null',
    '0',
    String(success),
  ])
}

/** @param values version, description, type, script, checksum, milliseconds, success */
function row(table: string, [version, description, type, script, checksum, time, success]: string[]): string {
  return (
    `insert into ${table} (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success) ` +
    `select coalesce(pg_catalog.max(installed_rank), 0) + 1, ${version}, ${description}, ${type}, ${script}, ${checksum}, ` +
    `current_user, ${time}, ${success} from ${table}`
  )
}

const textOr = (value: string | number | boolean | null | undefined) =>
  typeof value === 'string' ? quoteLiteral(value) : 'null'

/** Condition for the rows about a file, without markers. Of a file that is gone only the id is known. */
const about = ({ id, native }: Migration) =>
  native.type === baseline
    ? `type = ${quoteLiteral(baseline)} and ${normal} = ${quoteLiteral(id)}`
    : `not ${isMark} and ` +
      (id.startsWith('R:')
        ? `version is null and description = ${quoteLiteral(id.slice('R:'.length))}`
        : `${normal} = ${quoteLiteral(id)}`)

/** The type that Flyway records for a baseline migration. */
const baseline = 'SQL_BASELINE'

/** Updates the newest row of every file in one statement: a thousand files may have been applied. */
function durations(table: string, files: { file: Migration; durationMs: number }[]): string {
  const values = files.map(
    ({ file: { native }, durationMs }) => `(${quoteLiteral(keyOf(native))}, ${Math.round(durationMs)})`,
  )
  return (
    `update ${table} t set execution_time = d.ms from (select pg_catalog.max(installed_rank) as rank, ms from ${table} ` +
    `join (values ${values.join(', ')}) v (key, ms) on key = coalesce(case when type = '${baseline}' then 'B:' else 'V:' end || version, 'R:' || description) ` +
    `where (type = '${baseline}' or not ${isMark}) and not ${isTakenBack} group by key, ms) d where t.installed_rank = d.rank`
  )
}

const keyOf = ({ version, description, type }: Migration['native']) =>
  version === null ? `R:${description}` : `${type === baseline ? 'B' : 'V'}:${version}`

/** The row that records a file. */
const rankOf = (table: string, file: Migration) =>
  `select pg_catalog.max(installed_rank) from ${table} where ${about(file)} and not ${isTakenBack}`

/**
 * Like `flyway repair`: removes a failed row, and for an applied migration adds a row that marks it as deleted.
 */
function unrecord(table: string, file: Migration): string {
  return (
    `delete from ${table} where ${about(file)} and not success; ` +
    `insert into ${table} (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success) ` +
    `select (select pg_catalog.max(installed_rank) + 1 from ${table}), version, description, 'DELETE', script, checksum, current_user, 0, success ` +
    `from (select * from ${table} where ${about(file)} order by installed_rank desc limit 1) r where not ${isTakenBack}`
  )
}

/** Puts the schema of the history, which is Flyway's default schema, before the others, as Flyway does for each file. */
function setSearchPath(table: string): string {
  const schema = quoteLiteral(quoteIdent(splitName(table).schema))
  const path = `pg_catalog.concat_ws(',', ${schema}, nullif(pg_catalog.current_setting('search_path'), ''))`
  return `do ${quoteLiteral(`begin perform pg_catalog.set_config('search_path', ${path}, false); end`)}`
}
