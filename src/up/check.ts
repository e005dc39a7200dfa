import { compare, wantedFrom } from '../check/conditions.ts'
import { emptied } from '../check/emptied.ts'
import { type Health, violated } from '../check/health.ts'
import { readSnapshot } from '../check/snapshot.ts'
import type { HealthFindings, Snapshot } from '../check/types.ts'
import { AppError } from '../errors.ts'
import { isDone } from '../migrate/plan/verify.ts'
import type { Run } from '../run/run.ts'
import { visible } from '../text.ts'
import { someLines } from '../units.ts'
import { assertionResults } from './assertions.ts'
import { type MigrateStep, planMigrateStep } from './migrate.ts'
import type { MigrateTarget } from './target.ts'

/** What differs from what `check` declares. @param look reads the migrations, which is only needed where tables are gone */
export async function findingsOf(run: Run, look: () => Promise<MigrateStep | undefined>): Promise<HealthFindings> {
  const wanted = wantedFrom(run.context.loaded.config.check)
  const snapshot = await readSnapshot(run.reads(run.target!), wanted)
  const findings = compare(wanted, snapshot)
  const gone = await whatIsGone(snapshot, look)
  return gone === undefined ? findings : { ...findings, errors: [gone, ...findings.errors] }
}

/** When the database has no table or only one, looks in the files for the tables that should exist. */
async function whatIsGone(
  { someTables }: Snapshot,
  look: () => Promise<MigrateStep | undefined>,
): Promise<string | undefined> {
  if (someTables.length > 1) return undefined
  const { historyTable, history, folder } = (await look()) ?? {}
  if (!history || !folder) return undefined
  const own = someTables.filter(
    ({ schema, name }) => schema !== historyTable?.native?.schema || name !== historyTable.native.name,
  )
  const done = new Set(history.applied.filter(isDone).map(({ id }) => id))
  return emptied(own.length, () => folder.files.filter(({ id }) => done.has(id)).map(({ text }) => text))
}

export const lookAtMigrations = (run: Run, target: MigrateTarget | undefined) =>
  target && !target.command
    ? planMigrateStep(run.context, target, run.reads(run.target!), { looking: true })
    : undefined

/**
 * The check at the end of `up`: declared tables, columns, indexes and foreign keys. Roles were converged just before.
 * @throws {AppError} `unhealthy` naming every error
 */
export async function refuseUnhealthy(run: Run, target: MigrateTarget | undefined): Promise<void> {
  if (!run.target || !run.context.isTarget()) return
  const { errors, warnings } = await findingsOf(run, async () => lookAtMigrations(run, target))
  // If tables are missing, a query would only say so again.
  const { results, unknown } = errors.length > 0 ? { results: [] } : await assertionResults(run)
  errors.push(...violated(results, 'error'))
  warnings.push(...violated(results, 'warning'), ...(unknown === undefined ? [] : [unknown]))
  for (const warning of warnings) run.context.out.warn(warning)
  if (errors.length > 0) throw unhealthy(errors)
}

/** Asks at once what {@link refuseUnhealthy} will need to know. */
export async function askAboutHealth({ context, target, reads }: Run): Promise<void> {
  if (target && context.isTarget()) await readSnapshot(reads(target), wantedFrom(context.loaded.config.check))
}

/** Exit 50. */
export function unhealthy([first = '', ...others]: string[], { onlyBackups }: Partial<Health> = {}): AppError {
  const [what, hint] = onlyBackups
    ? [
        'the database is as declared, but its backups are not as they should be',
        'look at `pgbosun backup list` and the log of `serve`; if the store is not mounted here, nothing is known about its backups',
      ]
    : [
        'the database is not what is declared',
        'run `pgbosun plan` to see what `up` would fix; you must correct data, and what is declared under `check`, yourself',
      ]
  return new AppError('unhealthy', `${what}: ${first}`, {
    hint,
    report: { errors: [first, ...others] },
    ...(others.length > 0 && { excerpt: someLines(others.map((error) => visible(`also: ${error}`))).join('\n') }),
  })
}
