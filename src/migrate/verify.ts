import { AppError } from '../errors.ts'
import type { Applied, Migration, Problem } from './types.ts'

/** How to judge files and history that do not match; `migrate.outOfOrder` and `migrate.ahead`. */
export type HistoryPolicy = { outOfOrder: 'error' | 'apply'; ahead: 'ok' | 'warn' | 'error' }

/**
 * Compares the files with the history.
 *
 * @param files   by version
 * @param history by seq
 * @returns problems in the order of their versions, at most one for each migration
 */
export function findProblems(files: Migration[], history: Applied[], policy: HistoryPolicy): Problem[] {
  const fileOf = new Map(files.map((file) => [file.version, file]))
  const recorded = new Set(history.map(({ version }) => version))
  const newestFile = files.at(-1)
  const newest = newestApplied(history)

  const ofRows = byVersion(history).flatMap((row) => {
    const file = fileOf.get(row.version)
    if (row.status === 'started') return [interrupted(row)]
    if (file) return file.sha256 === row.sha256 ? [] : [edited(row, file)]
    if (newestFile && row.version < newestFile.version) return [missing(row)]
    return policy.ahead === 'error' ? [ahead(row)] : []
  })
  const ofFiles =
    newest && policy.outOfOrder === 'error'
      ? files
          .filter(({ version }) => version < newest.version && !recorded.has(version))
          .map((file) => late(file, newest))
      : []
  return [...ofRows, ...ofFiles]
}

/** Rows newer than every file, by version: another deployment has been here. */
export const rowsAhead = (files: Migration[], history: Applied[]) => {
  const newest = files.at(-1)?.version ?? -1n
  return byVersion(history).filter(({ version }) => version > newest)
}

/** The applied migration with the highest version. A started one does not count. */
export const newestApplied = (history: Applied[]) =>
  byVersion(history.filter(({ status }) => status !== 'started')).at(-1)

/** @throws {AppError} `history` with the first problem in the message, the others below it and all of them in the report */
export function refuseProblems(problems: Problem[]): void {
  const [first, ...others] = problems
  if (!first) return
  throw new AppError('history', `${first.name} ${first.detail}`, {
    hint: first.hint,
    excerpt: others.length > 0 ? others.map(({ name, detail }) => `also: ${name} ${detail}`).join('\n') : undefined,
    report: { problems: problems.map(({ code, name }) => ({ code, name })) },
  })
}

const byVersion = (history: Applied[]) => [...history].sort((a, b) => (a.version < b.version ? -1 : 1))

const interrupted = ({ name, version }: Applied): Problem => ({
  code: 'interrupted',
  name,
  detail: 'was started outside a transaction and did not finish',
  hint:
    `look whether it took effect. If it did: update pgbosun.migrations set status = 'applied' where version = ${version}; ` +
    `if not, drop what it left (an invalid index, for example) and let the next run repeat it: ` +
    `delete from pgbosun.migrations where version = ${version} and status = 'started';`,
})

const edited = (row: Applied, file: Migration): Problem => ({
  code: 'edited',
  name: file.name,
  detail: 'was changed after it was applied',
  hint:
    'restore the file as it was and put the change into a new migration. If the change has no effect (a comment): ' +
    `update pgbosun.migrations set sha256 = '${file.sha256}' where version = ${row.version};`,
})

const missing = ({ name }: Applied): Problem => ({
  code: 'missing',
  name,
  detail: 'was applied, but its file is gone',
  hint: 'bring the file back from version control',
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
  detail: `is not applied, but older than ${newest.name}, which is`,
  hint: `give it a version newer than ${newest.version}, or set \`migrate.outOfOrder: apply\``,
})
