// pure
import { usage } from '../../errors.ts'
import type { Applied, Migration } from '../../formats/types.ts'
import { shellWord } from '../../text.ts'
import type { History } from '../types.ts'
import { findMigration } from './plan.ts'
import { compareContent, type HistoryPolicy, isDone } from './verify.ts'

/** Migrations that a person decided about, by name or version. Without any, what differs from its file is repaired. */
export type RepairWanted = { applied?: string | undefined; pending?: string | undefined; forget?: string | undefined }

/**
 * What is done to a record: `realign` makes it fit the file; `applied` and `pending` say what became of a migration that stopped;
 * `forget` removes that of a file that is gone.
 */
export type RepairAction = 'realign' | 'applied' | 'pending' | 'forget'

/** One record that will be changed. The last three are sentences for people. */
export type Repair = {
  action: RepairAction
  name: string
  row: Applied
  /** The file; where it is gone, what the history knows of it. */
  file: Migration
  /** The migration before it in the format's order. */
  before: Migration | undefined
  wrong: string
  writes: string
  check: string
}

/** What to repair, in this order. */
export type RepairPlan = { repairs: Repair[]; lastSeq: number; lastDetail: number }

/** `table`: name of the tool's own history; undefined for pgbosun. */
export type RepairOptions = { policy: HistoryPolicy; table: string | undefined }

/**
 * Decides how to repair a history: what a person named, else every record of an applied file that was changed or renamed.
 *
 * @param files in the format's order
 * @throws {AppError} `usage` for a name that is not there, or whose record needs no such repair
 */
export function planRepair(
  files: Migration[],
  history: History,
  options: RepairOptions,
  wanted: RepairWanted,
): RepairPlan {
  const known: Known = { files, rows: [...history.applied, ...history.repeated], history, ...options }
  const named = (Object.keys(decide) as (keyof typeof decide)[]).flatMap((how) => {
    const name = wanted[how]
    return name === undefined ? [] : [{ how, name }]
  })
  refuseTwice(known, named)
  const repairs =
    named.length > 0
      ? named.flatMap(({ how, name }) => decide[how](known, name) ?? [])
      : history.applied.flatMap((row) => realign(known, row) ?? [])
  return { repairs, lastSeq: history.lastSeq, lastDetail: history.lastDetail }
}

type Known = RepairOptions & { files: Migration[]; rows: Applied[]; history: History }
type Named = { how: keyof typeof decide; name: string }

const decide = { applied: decideApplied, pending: decidePending, forget: decideForget }

function refuseTwice(known: Known, named: Named[]): void {
  const ids = named.map(({ name }) => findMigration(known.rows, name)?.id ?? name)
  if (new Set(ids).size === ids.length) return
  throw usage('two flags say different things of one migration', { hint: 'give only one of them' })
}

function realign(known: Known, row: Applied): Repair | undefined {
  const { table } = known
  const file = fileOf(known, row)
  if (!file || !isDone(row) || row.status === 'baseline' || row.progress) return undefined
  const content = compareContent(row, file)
  const called = table === undefined ? row.name : (row.description ?? file.native.description)
  const now = table === undefined ? file.name : file.native.description
  const renamed =
    called === now ? [] : [`was applied under the ${table === undefined ? 'name' : 'description'} ${called}`]
  if (content === 'same' && renamed.length === 0) return undefined
  const [difference, check] = differences[content]
  const writes = [
    ...(content === 'same' ? [] : [changeOf(row, file, table)]),
    ...(renamed.length === 0 ? [] : [`${table ?? 'pgbosun.migrations'}: ${called} becomes ${now}`]),
  ]
  return {
    ...item('realign', known, row, file),
    wrong: [...difference, ...renamed].join(', and '),
    writes: writes.join('; '),
    check,
  }
}

const differences: Record<ReturnType<typeof compareContent>, [wrong: string[], check: string]> = {
  same: [[], 'safe: only the name differs, the content is what was applied'],
  accepted: [
    ['differs from what was applied only in its line ends or the like'],
    'safe: the content is what was applied; but who has the file with the other line ends differs then',
  ],
  edited: [
    ['was changed after it was applied'],
    'compare it with what was applied: the file is not run again, so the change must have no effect (a comment, blanks); what has one belongs into a new migration',
  ],
}

/** The checksum before and after, where the tool keeps one; else ours. */
function changeOf(row: Applied, file: Migration, table: string | undefined): string {
  const short = (sum: string | null) => (sum === null ? 'none' : sum.replace(/^(\w+:)?(\w{12})\w+$/, '$1$2…'))
  if (table !== undefined && row.checksum !== null)
    return `${table}: checksum ${short(row.checksum)} becomes ${short(file.checksum)}`
  return `${table === undefined ? 'pgbosun.migrations' : 'pgbosun.migration_details'}: sha256 ${short(row.sha256)} becomes ${short(file.sha256)}`
}

function decideApplied(known: Known, name: string): Repair | undefined {
  const { row, file } = find(known, name)
  if (!row)
    throw refuse(
      name,
      file ? 'is not recorded: it is pending' : 'is unknown',
      `\`pgbosun migrate --fake --to ${shellWord(name)}\` records files without running them`,
    )
  if (!isStopped(row)) return undefined
  if (!file)
    throw refuse(
      row.name,
      'has no file that could be recorded',
      `bring the file back, or \`pgbosun migrate repair --forget ${shellWord(row.name)}\``,
    )
  return {
    ...item('applied', known, row, file),
    wrong: wrongOf(row, known.policy),
    writes: `${tables(known, row)}: it is applied, with the content that its file has now`,
    check: `look whether ${extentOf(row)}: nothing of it is run again${caveat(known.policy)}`,
  }
}

function extentOf({ progress }: Applied): string {
  if (progress?.direction === 'down') return 'all of it is there, and bring back what was undone already'
  if (!progress?.done) return 'all of it took effect (an index may be there and invalid), and complete it by hand'
  return `what comes behind its first ${statements(progress.done)}, which ran, took effect too, and complete it by hand`
}

function decidePending(known: Known, name: string): Repair | undefined {
  const { row, file } = find(known, name)
  if (!row && file) return undefined
  if (!row) throw unknown(name)
  if (!isStopped(row))
    throw refuse(
      row.name,
      'is applied: it did not stop halfway',
      'use `pgbosun migrate down` to undo the newest migration',
    )
  return {
    ...item('pending', known, row, file ?? standIn(known, row)),
    wrong: wrongOf(row, known.policy),
    writes: `${tables(known, row)}: it is not applied, and the next run begins at its first statement`,
    check: `${remainsOf(row)}${caveat(known.policy)}`,
  }
}

function remainsOf({ progress }: Applied): string {
  if (progress?.direction === 'down') return 'look that all of it is undone'
  if (!progress?.done) return 'look what it left (an invalid index, for example), and drop that'
  return `undo its first ${statements(progress.done)} by hand: they took effect`
}

const statements = (count: number) => (count === 1 ? 'statement' : `${count} statements`)

function decideForget(known: Known, name: string): Repair {
  const { row, file } = find(known, name)
  if (!row) throw unknown(name)
  if (row.status === 'baseline') throw refuse(row.name, 'stands for all migrations up to it', 'it cannot be forgotten')
  if (file)
    throw refuse(
      row.name,
      `has its file: ${file.path}`,
      'a record is forgotten only where the file is gone for good; `pgbosun migrate down` undoes a migration',
    )
  return {
    ...item('forget', known, row, standIn(known, row)),
    wrong: isDone(row) ? 'was applied, and its file is gone' : 'was begun, and its file is gone',
    writes: `${tables(known, row)}: nothing is recorded of it any more`,
    check:
      'look whether version control has the file: bringing it back is better. What the migration made stays in the database, and nothing undoes it any more',
  }
}

const item = (action: RepairAction, known: Known, row: Applied, file: Migration) => ({
  action,
  name: file.name,
  row,
  file,
  before: known.files.findLast(
    ({ id, kind }) => kind === 'versioned' && file.kind === kind && known.policy.compare(id, row.id) < 0,
  ),
})

const fileOf = ({ files }: Known, { id }: Applied) => files.find((file) => file.id === id)

function find(known: Known, name: string): { row: Applied | undefined; file: Migration | undefined } {
  const row = findMigration(known.rows, name)
  return { row, file: row ? fileOf(known, row) : findMigration(known.files, name) }
}

/** Whether it was begun, or undoing it was, and did not finish. */
const isStopped = (row: Applied) => !isDone(row) || row.progress !== null

function wrongOf({ status, progress }: Applied, { format }: HistoryPolicy): string {
  if (progress?.direction === 'down') return 'was being undone outside a transaction, which did not finish'
  if (status === 'failed') return `failed, or was interrupted, when ${format} applied it`
  return 'was started outside a transaction and did not finish'
}

/** golang-migrate marks the version that it goes to, in both directions. */
const caveat = ({ format }: HistoryPolicy) =>
  format === 'golang-migrate'
    ? '. It may also be the undoing of the migration behind it that failed: its history does not tell'
    : ''

/** Where it is recorded. */
function tables({ table, history }: Known, row: Applied): string {
  if (table === undefined) return history.repeated.includes(row) ? 'pgbosun.migration_details' : 'pgbosun.migrations'
  return row.seq > 0 ? `${table} and pgbosun.migration_details` : table
}

/** What the history knows of a migration whose file is gone: enough to find its record by. */
const standIn = ({ history }: Known, row: Applied): Migration => ({
  id: row.id,
  name: row.name,
  kind: history.repeated.includes(row) ? 'repeatable' : 'versioned',
  sha256: row.sha256 ?? '',
  checksum: row.checksum,
  path: '',
  text: '',
  line: 1,
  transactional: true,
  native: {},
})

const refuse = (name: string, what: string, hint: string) => usage(`${name} ${what}`, { hint })

const unknown = (name: string) =>
  refuse(name, 'is not in the history', 'name a migration as `pgbosun migrate status` does')
