import { AppError } from '../../errors.ts'
import type { Format } from '../../formats/format.ts'
import type { Migration, Progress } from '../../formats/types.ts'
import type { Db } from '../../postgres/db.ts'
import { quoteLiteral, quoteName } from '../../sql/quote.ts'
import { callRecorder } from '../../state/recorder.ts'

/** Where the migrations of one format are recorded in one database. */
export type HistoryTable = {
  format: Format
  /** The tool's own table; undefined for pgbosun. */
  native: NativeTable | undefined
  /** The procedure, as SQL, that records for a session that may not write our tables itself. */
  recorder?: string | undefined
}

type NativeTable = {
  schema: string
  name: string
  /** Quoted and qualified. */
  table: string
  exists: boolean
  /** Later schemas of the search_path that have a table of that name, which the tool ignores; only filled if its own does not exist. */
  elsewhere: string[]
}

/** Where our own format is recorded. Does not access the database. */
export const ownHistoryTable = (format: Format): HistoryTable => ({ format, native: undefined })

/**
 * Finds the tool's history, or the place where the tool would create it: always in one schema, current_schema(). dbmate,
 * golang-migrate, goose and Flyway look for the table there; sqlx creates it there if it is missing. A table of that name in a later
 * schema of the search_path is the history of another application.
 *
 * @param table   `name` or `schema.name`; default: the tool's
 * @param schemas those of the search_path, in order
 * @throws {AppError} `history` if the table does not belong to that tool
 */
export async function openHistoryTable(
  db: Db,
  format: Format,
  { table, schemas }: { table: string | undefined; schemas: readonly string[] },
): Promise<HistoryTable> {
  const { native } = format
  if (!native) return ownHistoryTable(format)
  const [first = '', second] = (table ?? native.table).split('.')
  const [schema = 'public', name] = second === undefined ? [schemas[0], first] : [first, second]
  const others = second === undefined ? schemas.slice(1) : []
  const tables = await db.unsafe<{ schema: string; columns: string[] }[]>(
    `select n.nspname as schema,
            (select coalesce(pg_catalog.json_agg(a.attname order by a.attnum), '[]') from pg_catalog.pg_attribute a
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname in (${[schema, ...others].map(quoteLiteral).join(', ')}) and c.relname = ${quoteLiteral(name)} and c.relkind <> 'i'
      order by n.nspname`,
  )
  const lackingIn = (columns: string[]) => native.columns.filter((column) => !columns.includes(column))
  const found = tables.find((table) => table.schema === schema)
  const lacking = found ? lackingIn(found.columns) : []
  if (lacking.length > 0) {
    throw new AppError(
      'history',
      `the table ${schema}.${name} is not the history of ${format.name}: it has no column ${lacking.join(', ')}`,
      { hint: 'set `migrate.format` to the tool that wrote it, or `migrate.table` to the right table' },
    )
  }
  return {
    format,
    native: {
      ...{ schema, name, table: quoteName(schema, name), exists: found !== undefined },
      elsewhere: found
        ? []
        : tables.filter(({ columns }) => lackingIn(columns).length === 0).map((table) => table.schema),
    },
  }
}

/** Our own table for the records of some migrations, and the statements that write them. */
export type OwnTable = {
  table: 'pgbosun.migrations' | 'pgbosun.migration_details'
  /** Adds a row that references the previous row, which must exist: together they are the chain. */
  insert(file: Migration, row: NewRow): string
  /** Marks the row of a started migration as finished. */
  finish(file: Migration, row: NewRow, durationMs: number | null): string
  /** Removes the record of a migration that was undone. */
  undo(row: { seq: number; next: number; toolVersion: string; file: Migration }): string
  /** Removes the row of a started migration of which nothing took effect. */
  forget(seq: number): string
  /** Writes its progress; null if it is not running. */
  progress(seq: number, progress: Progress | null): string
}

/** A row of the chain that is about to be written. `previous` is 0 for the first row. */
export type NewRow = {
  seq: number
  previous: number
  status: 'applied' | 'started' | 'faked' | 'adopted'
  toolVersion: string
}

/** The name of the history in pgbosun.migration_details; the repeatable files of our own format have a name too. */
export const historyName = ({ format, native }: HistoryTable) =>
  native ? `${format.name} ${native.schema}.${native.name}` : repeatables

const repeatables = 'pgbosun repeatable'

/** pgbosun.migrations for versioned files of our own format, pgbosun.migration_details for everything else. */
export function ownTableOf(historyTable: HistoryTable, { kind }: Pick<Migration, 'kind'>): OwnTable {
  const own = historyTable.native === undefined && kind === 'versioned'
  if (historyTable.recorder !== undefined)
    return calledLedger(historyTable.recorder, own ? undefined : historyName(historyTable))
  return own ? ownLedger : detailsLedger(historyName(historyTable))
}

const previousOf = (previous: number) => (previous === 0 ? 'null' : String(previous))

const ownLedger: OwnTable = {
  table: 'pgbosun.migrations',
  insert: ({ id, name, sha256 }, { seq, previous, status, toolVersion }) =>
    'insert into pgbosun.migrations (seq, previous, version, name, sha256, status, tool_version) values (' +
    `${seq}, ${previousOf(previous)}, ${id}, ${quoteLiteral(name)}, '${sha256}', '${status}', ${quoteLiteral(toolVersion)})`,
  finish: (file, row, durationMs) => finishRow('pgbosun.migrations', file, row, durationMs),
  undo: ({ seq }) => removeOwn(seq),
  forget: (seq) => removeOwn(seq),
  progress: (seq, progress) => writeProgress('pgbosun.migrations', seq, progress),
}

/** Records the current content: the part that had not run when it was interrupted may have changed since. */
const finishRow = (
  table: OwnTable['table'],
  { name, sha256 }: Migration,
  { seq, status, toolVersion }: NewRow,
  durationMs: number | null,
) =>
  `update ${table} set status = '${status}', progress = null, name = ${quoteLiteral(name)}, sha256 = '${sha256}', ` +
  `duration_ms = ${durationMs === null ? 'null' : Math.round(durationMs)}, applied_at = pg_catalog.clock_timestamp(), ` +
  `tool_version = ${quoteLiteral(toolVersion)} where seq = ${seq} and status = 'started'`

/** Removes a row, and links the row after it, if any, to the row before it. */
const removeOwn = (seq: number) =>
  `update pgbosun.migrations set previous = (select previous from pgbosun.migrations where seq = ${seq}) where previous = ${seq};
   delete from pgbosun.migrations where seq = ${seq}`

/** Rows are only added: a migration that another tool undid and applied again has several rows, and the newest counts. */
const detailsLedger = (history: string): OwnTable => {
  const values = ({ id, name, sha256 }: Migration) =>
    `${quoteLiteral(history)}, ${quoteLiteral(id)}, ${quoteLiteral(name)}, '${sha256}'`
  const into =
    'insert into pgbosun.migration_details (seq, previous, history, id, name, sha256, status, tool_version) values'
  return {
    table: 'pgbosun.migration_details',
    insert: (file, { seq, previous, status, toolVersion }) =>
      `${into} (${seq}, ${previousOf(previous)}, ${values(file)}, '${status}', ${quoteLiteral(toolVersion)})`,
    finish: (file, row, durationMs) => finishRow('pgbosun.migration_details', file, row, durationMs),
    undo: ({ next, toolVersion, file }) =>
      `${into} (${next}, ${previousOf(next - 1)}, ${values(file)}, 'undone', ${quoteLiteral(toolVersion)})`,
    forget: (seq) => `update pgbosun.migration_details set status = 'undone', progress = null where seq = ${seq}`,
    progress: (seq, progress) => writeProgress('pgbosun.migration_details', seq, progress),
  }
}

const writeProgress = (table: OwnTable['table'], seq: number, progress: Progress | null) =>
  `update ${table} set progress = ${progress ? `${quoteLiteral(JSON.stringify(progress))}::pg_catalog.jsonb` : 'null'} where seq operator(pg_catalog.=) ${seq}`

/** The same through a procedure. @param history name of the history in the details; undefined for pgbosun.migrations */
function calledLedger(recorder: string, history: string | undefined): OwnTable {
  const name = history === undefined ? 'migrations' : 'migration_details'
  const call = (op: string, row: Record<string, unknown>) => callRecorder(recorder, op, name, row)
  const about = ({ id, name, sha256 }: Migration) =>
    history === undefined ? { version: id, name, sha256 } : { history, id, name, sha256 }
  const insert = (
    file: Migration,
    { seq, previous, status, toolVersion }: Omit<NewRow, 'status'> & { status: string },
  ) =>
    call('insert', {
      ...about(file),
      ...{ seq, previous: previous === 0 ? null : previous, status, tool_version: toolVersion },
    })
  return {
    table: `pgbosun.${name}`,
    insert,
    finish: (file, { seq, status, toolVersion }, durationMs) =>
      call('finish', {
        ...{ seq, name: file.name, sha256: file.sha256, status, tool_version: toolVersion },
        duration_ms: durationMs === null ? null : Math.round(durationMs),
      }),
    undo: ({ seq, next, toolVersion, file }) =>
      history === undefined
        ? call('remove', { seq })
        : insert(file, { seq: next, previous: next - 1, status: 'undone', toolVersion }),
    forget: (seq) => call('remove', { seq }),
    progress: (seq, progress) => call('progress', { seq, progress }),
  }
}
