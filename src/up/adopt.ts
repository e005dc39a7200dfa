import type { FormatName } from '../config/formats.ts'
import { AppError } from '../errors.ts'
import { readText } from '../formats/files.ts'
import type { NewFile } from '../formats/format.ts'
import { pgbosun } from '../formats/pgbosun.ts'
import type { Migration, Script } from '../formats/types.ts'
import { adoptHistory, missingFiles, writeFolder } from '../migrate/apply/adopt.ts'
import { readHistory } from '../migrate/history/history.ts'
import { type HistoryTable, ownHistoryTable } from '../migrate/history/history-table.ts'
import { type AdoptPlan, planAdoption } from '../migrate/plan/adopt.ts'
import { refuseProblems } from '../migrate/plan/verify.ts'
import { type Change, ofOneKind, type Warning } from '../plan.ts'
import type { Journal } from '../run/journal.ts'
import type { Run } from '../run/run.ts'
import { linesNaming } from '../sql/mentions.ts'
import { applyState } from '../state/state.ts'
import { someOf } from '../units.ts'
import { type MigrateStep, planMigrateStep } from './migrate.ts'
import { defaultRole } from './owner.ts'
import type { MigrateTarget } from './target.ts'

/** The plan, with what it was made from. `missing`: files that do not exist yet. */
export type Adoption = { look: MigrateStep; plan: AdoptPlan; into: string; missing: NewFile[] }

/** @throws {AppError} `history` when the tool has no history here, or its history has problems; `usage` when the folder is not empty */
export async function planAdoptStep(
  run: Run,
  target: MigrateTarget,
  format: FormatName,
  into: string,
): Promise<Adoption> {
  // The only target is always the database that the run is about; without it there is no run.
  const { sql } = run.target!
  const look = await planMigrateStep(run.context, target, sql, { records: ['migrations'] })
  if (!look.historyTable?.native?.exists) {
    throw new AppError('history', `there is no history of ${format} in this database`, {
      hint: 'set `migrate.table` if the history table has another name; if nothing was applied yet, there is nothing to move',
    })
  }
  const own = await readHistory(sql, ownHistoryTable(pgbosun))
  const plan = planAdoption(look.files, look.history, {
    format: look.format,
    policy: strictly(run.context, look),
    own,
    sourceOf: readText,
  })
  refuseProblems(plan.problems)
  return { look, plan, into, missing: missingFiles(into, plan.files) }
}

/** What will be different with our format. */
export function warningsOfAdoption({ look: { folder, files, historyTable, format } }: Adoption): Warning[] {
  const paths = new Set(files.map(({ path }) => path))
  const left = folder?.files.filter(({ path }) => !paths.has(path)).map(({ name }) => name) ?? []
  const schema = format.native?.prepare && historyTable?.native?.schema
  return [
    ...(left.length > 0
      ? [`not moved, because a baseline migration replaces them or they are for new databases only: ${someOf(left)}`]
      : []),
    ...(schema && schema !== 'public'
      ? [
          `${format.name} puts the schema ${schema} first in the search_path of each file, but pgbosun does not: set search_path for the role or the database`,
        ]
      : []),
    ...ofOneKind(historyTable ? usesOfHistory(files, historyTable) : []),
  ]
}

/** The places in the files that use the history of the tool, which it creates and we do not. */
function usesOfHistory(files: Migration[], { format, native }: HistoryTable): string[] {
  const own = format.native?.table ?? ''
  // a name like `migrations` alone would be found everywhere
  const [what, name] = own.includes('.') ? ['the schema', native?.schema] : ['the table', native?.name]
  if (name === undefined) return []
  return files
    .flatMap((file): Script[] => [file, ...(file.down ? [file.down()] : [])])
    .flatMap(({ path, text, line: first }) =>
      linesNaming(text, name).map(
        (line) =>
          `${path}, line ${line + first - 1}, uses ${what} ${name} of ${format.name}: a new database does not have it, so the file fails there, and here it does not change any more; take it out of the file first`,
      ),
    )
}

/** What our format does with a file that is out of order, unless the configuration says otherwise: the tool's own rule no longer applies. */
const strictly = ({ loaded }: Run['context'], { policy }: MigrateStep) => ({
  ...policy,
  outOfOrder: loaded.config.migrate.outOfOrder ?? pgbosun.policy.outOfOrder,
})

/** What an adoption writes: files, records and the tables for them. */
export function adoptChanges({ look, plan, missing }: Adoption, format: FormatName): Change[] {
  const files = missing.map(({ file }) => ({ action: 'write', object: `file ${file}`, reason: 'does not exist yet' }))
  const rows = plan.adopted
    .filter(({ state }) => state === 'adopt')
    .map(({ file, from, row }) => ({
      action: 'adopt',
      object: `migration ${file.name}`,
      reason: `${format} applied ${from.name}${row?.appliedAt ? ` at ${row.appliedAt}` : ''}`,
    }))
  const state = rows.length > 0 ? look.changes.filter(({ object }) => !object.startsWith('migration ')) : []
  return [...state, ...files, ...rows]
}

/** Writes the files, then the records, under the lock of the tool whose history it is. */
export async function applyAdoptStep(
  run: Run,
  { look, plan, into, missing }: Adoption,
  journal: Journal,
): Promise<void> {
  const { sql } = run.target!
  const { state, folder, historyTable, history, target } = look
  await writeFolder(into, missing)
  if (plan.adopted.every((one) => one.state !== 'adopt')) return
  if (state.length > 0) {
    await journal.beforeChange()
    await applyState(sql, state)
  }
  const role = await defaultRole(run.context, sql, target)
  await adoptHistory({
    ...{ sql, historyTable: historyTable!, files: folder?.files ?? [], history, plan, role },
    lockTimeoutMs: run.context.loaded.config.migrate.lockTimeout,
    toolVersion: run.context.version,
    beforeChange: journal.beforeChange,
    guard: run.guard,
  })
}
