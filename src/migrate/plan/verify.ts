// pure
import { AppError } from '../../errors.ts'
import { checksum } from '../../formats/checksum.ts'
import type { Applied, Migration, Progress, Script } from '../../formats/types.ts'
import { ofOneKind, type Warning } from '../../plan.ts'
import { shellWord, visible } from '../../text.ts'
import { firstOf, someLines, someOf } from '../../units.ts'
import type { Problem } from '../types.ts'
import { isUnsendable, planSending, type Sending, type Unsendable } from './sending.ts'

/** How to judge files and history that do not match: `migrate.outOfOrder`, `migrate.ahead`, and what the format's tool does. */
export type HistoryPolicy = {
  outOfOrder: 'error' | 'apply'
  ahead: 'ok' | 'warn' | 'error'
  missing: 'error' | 'warn'
  edited: 'error' | 'warn'
  /** Order of two ids. */
  compare(a: string, b: string): number
  /** Name of the tool that the history belongs to, for messages. */
  format: string
  /** It is pgbosun.migrations, and not the table of a tool. */
  own: boolean
  /** See {@link Format}. */
  keepsOnlyNewest?: boolean
  /** See {@link Format}. */
  neverUndoes?: boolean
}

/** Mismatches between files and history: problems stop a run, warnings do not. */
export type HistoryFindings = { problems: Problem[]; warnings: Warning[] }

/**
 * Compares the versioned files with the history.
 *
 * @param files   the versioned files, in the format's order
 * @param applied their records
 * @returns problems in the order of their versions, at most one for each migration
 */
export function findProblems(files: Migration[], applied: Applied[], policy: HistoryPolicy): HistoryFindings {
  const fileOf = new Map(files.map((file) => [file.id, file]))
  const newestFile = files.at(-1)
  const problems: Problem[] = []
  const tolerated = { edited: [] as string[], accepted: [] as string[], missing: [] as string[] }
  const judge = (kind: 'edited' | 'missing', how: 'error' | 'warn', problem: Problem) =>
    how === 'error' ? problems.push(problem) : tolerated[kind].push(`${problem.name} ${problem.detail}`)

  for (const row of inOrder(applied, policy)) {
    const file = fileOf.get(row.id)
    const stopped = stoppedAt(row, file, policy)
    if (stopped) problems.push(stopped)
    else if (row.status === 'baseline' || row.status === 'started') continue
    else if (file) {
      const how = compareContent(row, file)
      if (how === 'edited') judge('edited', row.checksum === null ? 'warn' : policy.edited, edited(row, file, policy))
      if (how === 'accepted')
        tolerated.accepted.push(`${file.name} differs from what was applied only in line endings or the like`)
    } else if (newestFile && policy.compare(row.id, newestFile.id) < 0) judge('missing', policy.missing, missing(row))
    else if (policy.ahead === 'error') problems.push(ahead(row))
  }
  if (policy.outOfOrder === 'error') problems.push(...lateFiles(files, applied, policy))
  const { edited: changed, accepted, missing: gone } = tolerated
  const kinds = [changed, accepted, gone, renamed(fileOf, applied)]
  return { problems, warnings: [...aheadWarning(files, applied, policy), ...kinds.flatMap(ofOneKind)] }
}

/** Rows newer than every file, in order: they come from another deployment. */
const rowsAhead = (files: Migration[], applied: Applied[], policy: Pick<HistoryPolicy, 'compare'>) => {
  const newest = files.at(-1)
  return inOrder(applied, policy).filter(
    ({ id, status }) => status !== 'baseline' && (!newest || policy.compare(id, newest.id) > 0),
  )
}

/** The applied migration with the highest version, not counting one that has not finished. */
export const newestApplied = (applied: Applied[], policy: Pick<HistoryPolicy, 'compare'>) =>
  inOrder(applied.filter(isDone), policy).at(-1)

/** Whether it took effect, or counts as applied. */
export const isDone = ({ status }: Applied) => status !== 'started' && status !== 'failed'

/** Whether a file was started outside a transaction and the rest of it can run. */
export const isResumable = ({ status, progress }: Applied) => status === 'started' && progress?.direction === 'up'

/** @throws {AppError} `history` with the first problem as message, the others below it, and all of them in the report */
export function refuseProblems(problems: Problem[]): void {
  const [first, ...others] = problems
  if (!first) return
  throw new AppError('history', `${first.name} ${first.detail}`, {
    hint: first.hint,
    excerpt:
      others.length > 0
        ? someLines(others.map(({ name, detail }) => visible(`also: ${name} ${detail}`))).join('\n')
        : undefined,
    report: { problems: problems.map(({ code, name }) => ({ code, name })) },
  })
}

const inOrder = (applied: Applied[], { compare }: Pick<HistoryPolicy, 'compare'>) =>
  [...applied].sort((a, b) => compare(a.id, b.id))

/** The problem that prevents the rest of an unfinished file from running; undefined if there is none. */
function stoppedAt(row: Applied, file: Migration | undefined, policy: HistoryPolicy): Problem | undefined {
  if (row.progress?.direction === 'down') return undoInterrupted(row)
  if (row.status === 'failed') return failedElsewhere(row, policy)
  if (row.status !== 'started') return undefined
  if (!row.progress || !file) return file ? interrupted(row) : missing(row)
  const sending = planSending(file, { foreign: true })
  return keepsBeginning(file, sending, row.progress) ? undefined : changedBeginning(row)
}

/** Whether the statements that already ran are still unchanged in the text. */
export function keepsBeginning({ text }: Script, sending: Sending | Unsendable, { done, sha256 }: Progress): boolean {
  if (done === 0) return true
  const last = !isUnsendable(sending) && sending.mode === 'split' ? sending.units[done - 1] : undefined
  return last !== undefined && doneHash(text, last.end) === sha256
}

/** The checksum in {@link Applied.progress}: that of the text up to an offset. */
export const doneHash = (text: string, end: number) => checksum(text.slice(0, end))

/** Whether a file is what was applied. `accepted`: the same content, stored differently (line endings, for example). */
export function compareContent(row: Applied, file: Migration): 'same' | 'accepted' | 'edited' {
  if (row.checksum === null || file.checksum === null) {
    return row.sha256 === null || row.sha256 === file.sha256 ? 'same' : 'edited'
  }
  if (row.checksum === file.checksum) return 'same'
  return file.accepts?.(row.checksum) ? 'accepted' : 'edited'
}

function lateFiles(files: Migration[], applied: Applied[], policy: HistoryPolicy): Problem[] {
  const newest = newestApplied(applied, policy)
  if (!newest) return []
  const recorded = new Set(applied.map(({ id }) => id))
  return files
    .filter(({ id }) => policy.compare(id, newest.id) < 0 && !recorded.has(id) && !underBaseline(id, applied, policy))
    .map((file) => late(file, newest))
}

/** Whether a baseline covers it. */
export const underBaseline = (id: string, applied: Applied[], { compare }: Pick<HistoryPolicy, 'compare'>) =>
  applied.some((row) => row.status === 'baseline' && compare(id, row.id) <= 0)

function aheadWarning(files: Migration[], applied: Applied[], policy: HistoryPolicy): string[] {
  const names = rowsAhead(files, applied, policy).map(({ name }) => name)
  if (names.length === 0 || policy.ahead !== 'warn') return []
  return [`the database is ahead of the files: ${someOf(names)}`]
}

const renamed = (fileOf: Map<string, Migration>, applied: Applied[]) =>
  applied.flatMap((row) => {
    const file = fileOf.get(row.id)
    return file && file.name !== row.name ? [`${file.name} was applied under the name ${row.name}`] : []
  })

const interrupted = ({ name }: Applied): Problem => ({
  code: 'interrupted',
  name,
  detail: 'was started outside a transaction and did not finish',
  hint:
    `check whether it took effect. If it did, run \`pgbosun migrate repair --applied ${shellWord(name)}\`; ` +
    `if not, drop what it left behind (an invalid index, for example) and let the next run repeat it: \`pgbosun migrate repair --pending ${shellWord(name)}\``,
})

const undoInterrupted = ({ name }: Applied): Problem => ({
  code: 'interrupted',
  name,
  detail: 'was being undone outside a transaction, which did not finish',
  hint: 'run `pgbosun migrate down` again: it continues where it stopped',
})

/** Exit 21: another tool started it, and a person has to decide. */
export const failedElsewhere = ({ name }: Applied, { format }: HistoryPolicy): Problem => ({
  code: 'interrupted',
  name,
  detail: `failed, or was interrupted, when ${format} applied it`,
  hint:
    `check how much of it took effect, and complete or undo it by hand. Then run \`pgbosun migrate repair --applied ${shellWord(name)}\`, ` +
    `or, to have it run again, \`pgbosun migrate repair --pending ${shellWord(name)}\``,
})

export const changedBeginning = ({ name, progress }: Applied): Problem => ({
  code: 'edited',
  name,
  detail: `was changed above the point where it stopped: its ${firstOf(progress?.done ?? 0, 'statement')} already ran`,
  hint: 'restore that part as it was; only what follows it may change',
})

const edited = (row: Applied, file: Migration, { own }: HistoryPolicy): Problem => ({
  code: 'edited',
  name: file.name,
  detail: 'was changed after it was applied',
  hint:
    'restore the file as it was and put the change into a new migration. If the change has no effect (a comment), accept it: ' +
    (own ? `update pgbosun.migrations set sha256 = '${file.sha256}' where version = ${row.id}; or ` : '') +
    `\`pgbosun migrate repair\``,
})

const missing = ({ name }: Applied): Problem => ({
  code: 'missing',
  name,
  detail: 'was applied, but its file is gone',
  hint: `restore the file from version control; if it is gone for good, \`pgbosun migrate repair --forget ${shellWord(name)}\` removes it from the history`,
})

const ahead = ({ name }: Applied): Problem => ({
  code: 'ahead',
  name,
  detail: 'was applied and is newer than every file',
  hint: 'deploy the files that belong to this database, or set `migrate.ahead: warn`',
})

const late = ({ name }: Migration, newest: Applied): Problem => ({
  code: 'out-of-order',
  name,
  detail: `is not applied, but is older than ${newest.name}, which is applied`,
  hint: `give it a version newer than ${newest.id}, or set \`migrate.outOfOrder: apply\``,
})
