// pure
import type { NewFile } from '../../formats/format.ts'
import type { Applied, Migration } from '../../formats/types.ts'
import type { History, Problem } from '../types.ts'
import { type ConvertOptions, convertFiles } from './convert.ts'
import { findProblems, type HistoryPolicy, isDone } from './verify.ts'

/** A migration in our format, and what becomes of its record. */
export type Adopted = {
  from: Migration
  file: Migration
  state: 'adopt' | 'recorded' | 'pending'
  /** The tool's row about it, or about the baseline that covers it; undefined if it is pending. */
  row: Applied | undefined
}

/** What to write, and the last numbers of the chains to which the rows are added. */
export type AdoptPlan = {
  /** First those to record, in the order in which the tool applied them, then the others. */
  adopted: Adopted[]
  files: NewFile[]
  problems: Problem[]
  warnings: string[]
  lastSeq: number
  lastDetail: number
}

export type AdoptionOptions = ConvertOptions & {
  policy: HistoryPolicy
  /** Our own current history. */
  own: History
}

/**
 * Decides how the files and the history of another tool are converted to ours.
 *
 * @param files   those that apply to this database
 * @param history that of the tool
 * @throws {AppError} what `convertFiles` throws
 */
export function planAdoption(files: Migration[], history: History, options: AdoptionOptions): AdoptPlan {
  const { policy, own } = options
  const { converted, files: written, warnings } = convertFiles(files, options)
  const adopted = converted.map(({ from, file }): Adopted => {
    const row = rowOf(from, history, policy)
    return { from, file, row, state: !row ? 'pending' : isRecorded(file, own) ? 'recorded' : 'adopt' }
  })
  const order = new Map([...history.applied, ...history.repeated].map((row, i) => [row, i]))
  const placeOf = ({ row }: Adopted) => (row ? order.get(row)! : order.size)
  return {
    adopted: adopted.toSorted((a, b) => placeOf(a) - placeOf(b)),
    files: written,
    problems: [...problemsOf(files, history, policy), ...ownProblems(adopted, own)],
    warnings,
    lastSeq: own.lastSeq,
    lastDetail: own.lastDetail,
  }
}

/** The row that records a file as applied. A repeatable file that changed since then is pending. */
function rowOf(file: Migration, { applied, repeated }: History, { compare }: HistoryPolicy): Applied | undefined {
  if (file.kind === 'versioned') {
    return (
      applied.find(({ id }) => id === file.id) ??
      applied.find((row) => row.status === 'baseline' && compare(file.id, row.id) <= 0)
    )
  }
  return repeated.find(
    ({ id, checksum }) => id === file.id && (checksum === file.checksum || file.accepts?.(checksum ?? '')),
  )
}

const ownRow = (file: Migration, { applied, repeated }: History) =>
  (file.kind === 'versioned' ? applied : repeated).find(({ id }) => id === file.id)

const isRecorded = (file: Migration, own: History) => ownRow(file, own)?.sha256 === file.sha256

/** Everything that the tool has recorded must be kept, and every pending file must be applicable later. */
function problemsOf(files: Migration[], history: History, policy: HistoryPolicy): Problem[] {
  const strict: HistoryPolicy = { ...policy, edited: 'error', missing: 'error', ahead: 'error' }
  const found = findProblems(
    files.filter(({ kind }) => kind === 'versioned'),
    history.applied,
    strict,
  ).problems
  const fileOf = new Map(files.map((file) => [file.id, file]))
  const more = [...history.applied, ...history.repeated].flatMap((row) => {
    const file = fileOf.get(row.id)
    if (!isDone(row) || row.progress) return [stopped(row)]
    return row.checksum === null && row.sha256 !== null && file && file.sha256 !== row.sha256 ? [edited(row)] : []
  })
  const names = new Set(found.map(({ name }) => name))
  return [...found.map(withHint), ...more.filter(({ name }) => !names.has(name))]
}

/** Hints that differ from the usual ones. */
const hints: Partial<Record<Problem['code'], string>> = {
  'out-of-order': 'apply it first: `pgbosun migrate`; or set `migrate.outOfOrder: apply`',
  ahead: 'restore its file: a migration without a file cannot be moved',
}

const withHint = (problem: Problem): Problem => ({ ...problem, hint: hints[problem.code] ?? problem.hint })

const stopped = ({ name }: Applied): Problem => ({
  code: 'interrupted',
  name,
  detail: 'was started and did not finish',
  hint: 'let `pgbosun migrate` finish it first, or see `pgbosun migrate verify`',
})

const edited = ({ name }: Applied): Problem => ({
  code: 'edited',
  name,
  detail: 'was changed after it was applied',
  hint: 'restore the file as it was, or, if the change has no effect, accept it with `pgbosun migrate repair`',
})

/** Our history must be empty, or be the result of an earlier adoption. */
function ownProblems(adopted: Adopted[], own: History): Problem[] {
  const expected = new Map(adopted.filter(({ row }) => row).map(({ file }) => [file.id, file]))
  return [...own.applied, ...own.repeated]
    .filter((row) => expected.get(row.id)?.sha256 !== row.sha256 || !isDone(row))
    .map(({ name }) => ({
      code: 'ahead',
      name,
      detail: 'is already in pgbosun.migrations, but differs from what would be recorded there',
      hint: 'a history can be moved only once: after that, set `migrate.format: pgbosun`',
    }))
}
