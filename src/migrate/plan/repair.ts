// pure
import { usage } from '../../errors.ts'
import type { Applied, Migration } from '../../formats/types.ts'
import { shellWord } from '../../text.ts'
import { firstOf, plural } from '../../units.ts'
import type { History } from '../types.ts'
import { findMigration } from './plan.ts'
import { compareContent, type HistoryPolicy, isDone } from './verify.ts'

/** What a person decided about migrations, each by name or version. Without any, records that differ from their files are repaired. */
export type RepairWanted = { applied?: string | undefined; pending?: string | undefined; forget?: string | undefined }

/**
 * What to do with a record: `realign` updates it to match the file; `applied` and `pending` settle a migration that stopped halfway;
 * `forget` removes the record of a file that is gone.
 */
export type RepairAction = 'realign' | 'applied' | 'pending' | 'forget'

/** One record that will be changed. `wrong`, `writes` and `check` are sentences for people. */
export type Repair = {
  action: RepairAction
  name: string
  row: Applied
  /** The file; if it is gone, what the history knows about it. */
  file: Migration
  /** The migration before it in the format's order. */
  before: Migration | undefined
  wrong: string
  writes: string
  check: string
}

/** What to repair, in this order. */
export type RepairPlan = { repairs: Repair[]; lastSeq: number; lastDetail: number }

/** `table`: name of the tool's own history table; undefined for pgbosun. */
export type RepairPolicy = { policy: HistoryPolicy; table: string | undefined }

/**
 * Decides how to repair a history: the migrations that a person named, or else every record of an applied file that was changed or
 * renamed.
 *
 * @param files in the format's order
 * @throws {AppError} `usage` for an unknown name, or a record that does not need the repair
 */
export function planRepair(
  files: Migration[],
  history: History,
  options: RepairPolicy,
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

type Known = RepairPolicy & { files: Migration[]; rows: Applied[]; history: History }
type Named = { how: keyof typeof decide; name: string }

const decide = { applied: decideApplied, pending: decidePending, forget: decideForget }

function refuseTwice(known: Known, named: Named[]): void {
  const ids = named.map(({ name }) => findMigration(known.rows, name)?.id ?? name)
  if (new Set(ids).size === ids.length) return
  throw usage('two flags contradict each other about one migration', { hint: 'pass only one of them' })
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
    ['differs from what was applied only in line endings or the like'],
    'safe: the content is what was applied; but a copy of the file with the other line endings will then differ',
  ],
  edited: [
    ['was changed after it was applied'],
    'compare it with what was applied: the file is not run again, so the change must have no effect (a comment, blanks); put any other change into a new migration',
  ],
}

/** The checksum before and after: the tool's if it records one, otherwise ours. */
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
      `restore the file, or run \`pgbosun migrate repair --forget ${shellWord(row.name)}\``,
    )
  return {
    ...item('applied', known, row, file),
    wrong: wrongOf(row, known.policy),
    writes: `${tables(known, row)}: recorded as applied, with the current content of its file`,
    check: `check that ${extentOf(row)}: nothing of it will run again${caveat(known.policy)}`,
  }
}

function extentOf({ progress }: Applied): string {
  if (progress?.direction === 'down') return 'all of it is in effect, and redo by hand what was already undone'
  if (!progress?.done) return 'all of it took effect (an index may exist but be invalid), and complete it by hand'
  return `everything after its ${firstOf(progress.done, 'statement')} took effect too, and complete it by hand`
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
    writes: `${tables(known, row)}: marked as not applied; the next run starts at its first statement`,
    check: `${remainsOf(row)}${caveat(known.policy)}`,
  }
}

function remainsOf({ progress }: Applied): string {
  if (progress?.direction === 'down') return 'check that all of it is undone'
  if (!progress?.done) return 'check what it left behind (an invalid index, for example), and drop it'
  return `undo its ${firstOf(progress.done, 'statement')} by hand: ${plural(progress.done, 'it', 'they')} took effect`
}

function decideForget(known: Known, name: string): Repair {
  const { row, file } = find(known, name)
  if (!row) throw unknown(name)
  if (row.status === 'baseline')
    throw refuse(row.name, 'stands for all migrations up to it', 'keep it: a baseline cannot be forgotten')
  if (file)
    throw refuse(
      row.name,
      `still has its file: ${file.path}`,
      'only forget a migration when its file is gone for good; `pgbosun migrate down` undoes a migration',
    )
  return {
    ...item('forget', known, row, standIn(known, row)),
    wrong: isDone(row) ? 'was applied, and its file is gone' : 'was started, and its file is gone',
    writes: `${tables(known, row)}: its record is removed`,
    check:
      'check whether version control still has the file: restoring it is better. What the migration created stays in the database, and nothing can undo it any more',
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

/** Whether it was started and did not finish, or undoing it was. */
const isStopped = (row: Applied) => !isDone(row) || row.progress !== null

function wrongOf({ status, progress }: Applied, { format }: HistoryPolicy): string {
  if (progress?.direction === 'down') return 'was being undone outside a transaction, which did not finish'
  if (status === 'failed') return `failed, or was interrupted, when ${format} applied it`
  return 'was started outside a transaction and did not finish'
}

/** golang-migrate marks the version that it moves to, in both directions. */
const caveat = ({ format, keepsOnlyNewest }: HistoryPolicy) =>
  keepsOnlyNewest
    ? `. It may also be that undoing the migration after it failed: the history of ${format} does not say which`
    : ''

/** Where it is recorded. */
function tables({ table, history }: Known, row: Applied): string {
  if (table === undefined) return history.repeated.includes(row) ? 'pgbosun.migration_details' : 'pgbosun.migrations'
  return row.seq > 0 ? `${table} and pgbosun.migration_details` : table
}

/** A migration without a file, from its record in the history: enough to find that record. */
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
  refuse(name, 'is not in the history', 'use a name that `pgbosun migrate status` shows')
