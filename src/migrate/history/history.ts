import { AppError } from '../../errors.ts'
import type { NativeRow } from '../../formats/format.ts'
import type { Applied, AppliedStatus, Migration, Progress } from '../../formats/types.ts'
import type { Db } from '../../postgres/db.ts'
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'
import type { History } from '../types.ts'
import { type HistoryTable, historyName } from './history-table.ts'
import { asStrange, guardNative } from './plain.ts'

/** A row of one of our own tables. */
type OwnRow = {
  seq: number
  id: string
  name: string
  sha256: string
  status: AppliedStatus | 'undone'
  appliedAt: string
  durationMs: number | null
  appliedBy: string
  toolVersion: string
  progress: Progress | null
}

const empty: History = { applied: [], repeated: [], lastSeq: 0, lastDetail: 0 }

/**
 * Reads the history of a database.
 *
 * @param files those of the folder: some histories can only be understood together with them
 * @param role  who may read the tool's own history; undefined is the session user
 */
export async function readHistory(
  db: Db,
  historyTable: HistoryTable,
  files: Migration[] = [],
  role: string | undefined = undefined,
): Promise<History> {
  const [found] = await db.unsafe<{ present: boolean; details: boolean; hidden: string | null }[]>(
    `select pg_catalog.to_regclass('pgbosun.migrations') is not null as present, pg_catalog.to_regclass('pgbosun.migration_details') is not null as details,
            (select pg_catalog.min(name) from pg_catalog.unnest(array['pgbosun.migrations', 'pgbosun.migration_details']) name
              where pg_catalog.row_security_active(pg_catalog.to_regclass(name)::oid)) as hidden`,
  )
  if (found?.hidden) throw historyHidden(found.hidden)
  const own = found?.present && !historyTable.native
  if (!own && !found?.details && !historyTable.native?.exists) return empty
  const parts = [
    own ? ownRows('pgbosun.migrations', 'version::text', 'true') : "'[]'::json",
    found?.details
      ? ownRows('pgbosun.migration_details', 'id', `history = ${quoteLiteral(historyName(historyTable))}`)
      : "'[]'::json",
    found?.details ? '(select coalesce(pg_catalog.max(seq), 0) from pgbosun.migration_details)' : '0',
  ]
  const [row] = await db.unsafe<{ own: OwnRow[]; details: OwnRow[]; last: number }[]>(
    `select ${parts[0]} as own, ${parts[1]} as details, ${parts[2]} as last`,
  )
  const { own: migrations = [], details = [], last: lastDetail = 0 } = row ?? {}
  if (!historyTable.native) {
    return {
      applied: migrations.map(appliedFrom),
      repeated: newest(details)
        .filter(({ status }) => status !== 'undone')
        .map(appliedFrom),
      lastSeq: lastOf(migrations),
      lastDetail,
    }
  }
  const native = historyTable.native.exists ? await readNative(db, historyTable, role) : []
  return {
    ...merge(historyTable.format.native!.expand?.(native, files) ?? native, newest(details), files),
    lastSeq: lastDetail,
    lastDetail,
  }
}

/** Exit 12: a user that does not see the rows would run every file again. */
export const historyHidden = (table: string) =>
  new AppError('refused', `row security hides the history in ${table} from this user`, {
    hint: `somebody enabled or forced row security on a table of pgbosun; undo that with \`alter table ${table} no force row level security, disable row level security\``,
  })

/** The rows as JSON, with instants as text. Works without the column `progress`, which older versions do not have. */
const ownRows = (table: string, id: string, where: string) => `(
    select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
             'seq', seq, 'id', ${id}, 'name', name, 'sha256', sha256, 'status', status,
             'appliedAt', pg_catalog.to_char(applied_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
             'durationMs', duration_ms, 'appliedBy', applied_by, 'toolVersion', tool_version,
             'progress', pg_catalog.to_jsonb(t) -> 'progress') order by seq), '[]')
      from ${table} t where ${where})`

/** The rows in the tool's own history. @throws {AppError} `refused` if reading them would run somebody else's code */
export async function readNative(db: Db, historyTable: HistoryTable, role: string | undefined): Promise<NativeRow[]> {
  const { format, native } = historyTable
  const asRole = role === undefined ? '' : `set local role ${quoteIdent(role)}; `
  const answer = await db
    .unsafe<{ rows?: NativeRow[] }[]>(
      `${asRole}${guardNative(historyTable, 'read')} ${format.native!.select(native!.table)}`,
    )
    .catch((error: unknown) => {
      throw asStrange(error)
    })
  return (answer.flat() as { rows?: NativeRow[] }[]).find(({ rows }) => rows !== undefined)?.rows ?? []
}

const lastOf = (rows: { seq: number }[]) => rows.reduce((last, { seq }) => Math.max(last, seq), 0)

/** The newest row about each migration. */
const newest = (rows: OwnRow[]) => [...new Map(rows.map((row) => [row.id, row])).values()]

const appliedFrom = ({ status, ...row }: OwnRow): Applied => ({
  ...row,
  checksum: row.sha256,
  status: status as AppliedStatus,
})

/** The tool's rows say what is applied; ours add details about migrations that we applied or started. */
function merge(native: NativeRow[], details: OwnRow[], files: Migration[]): Pick<History, 'applied' | 'repeated'> {
  const detailOf = new Map(details.map((row) => [row.id, row]))
  const nameOf = new Map(files.map(({ id, name }) => [id, name]))
  const names = new Set(files.map(({ name }) => name))
  const known = new Set(native.map(({ id }) => id))
  const of = (row: NativeRow & { id: string }): Applied => {
    const detail = detailOf.get(row.id)
    const ours = detail && detail.status !== 'undone' ? detail : undefined
    const begun = !row.ok && ours?.status === 'started'
    return {
      id: row.id,
      name: names.has(row.name) ? row.name : (nameOf.get(row.id) ?? row.name),
      checksum: row.checksum,
      sha256: ours?.sha256 ?? null,
      status: begun ? 'started' : !row.ok ? 'failed' : row.kind === 'baseline' ? 'baseline' : statusOf(ours),
      appliedAt: row.appliedAt ?? ours?.appliedAt ?? null,
      durationMs: row.durationMs ?? ours?.durationMs ?? null,
      appliedBy: row.appliedBy ?? ours?.appliedBy ?? null,
      toolVersion: ours?.toolVersion ?? null,
      progress: ours?.progress ?? null,
      seq: ours?.seq ?? 0,
      ...(row.description !== undefined && { description: row.description }),
    }
  }
  const rows = native.filter((row): row is NativeRow & { id: string } => row.id !== null)
  const begun = details.filter(({ id, status }) => status === 'started' && !known.has(id))
  return {
    applied: [
      ...rows.filter(({ kind }) => kind !== 'repeatable').map(of),
      ...begun.map((row) => ({ ...appliedFrom(row), checksum: null })),
    ],
    repeated: rows.filter(({ kind }) => kind === 'repeatable').map(of),
  }
}

const statusOf = (row: OwnRow | undefined): AppliedStatus =>
  row?.status === 'faked' || row?.status === 'adopted' ? row.status : 'applied'
