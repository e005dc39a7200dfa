import { AppError } from '../../errors.ts'
import { isImported } from '../../import/history.ts'
import { checkWhole } from '../../restore/whole/whole.ts'
import { asAppError } from '../../run/failure.ts'
import type { Run } from '../../run/run.ts'
import { wholeImportOf } from '../import-of.ts'
import { refuseFilled } from './empty.ts'
import { nameOf, targetOf, withOrigin } from './step.ts'

/**
 * `import --plan` for a whole database: what would come, how long that would take, and all that is in the way.
 * @returns the fields of the JSON document; undefined if it was imported before
 */
export async function showWhole(
  run: Run,
  exclude: readonly string[],
): Promise<{ fields: Record<string, unknown>; failure: AppError | undefined } | undefined> {
  const { context, target } = run
  const configured = wholeImportOf(context)!
  if (target && (await isImported(target.sql, nameOf(configured)))) return undefined
  const { out } = context
  if (configured.url === undefined)
    return withOrigin(run, configured, exclude, async (origin) => {
      out.print(origin.summary)
      const failure = await problemsOf(run, origin.manifest, origin.what)
      return { fields: { source: origin.what, tables: origin.manifest.rows }, failure }
    })
  const { describeStop, describeTables, measureReading, withPostgres } = await import('./from-postgres.ts')
  return withPostgres(run, { ...configured, url: configured.url }, exclude, async (origin, source) => {
    out.print([origin.summary, ...describeTables(source)])
    const failure = await problemsOf(run, origin.manifest, origin.what)
    const sizeBytes = source.tables.reduce((sum, table) => sum + table.sizeBytes, 0)
    const stop = describeStop(await measureReading(run, source), sizeBytes)
    out.print(stop.said)
    return {
      fields: {
        source: origin.what,
        tables: source.tables.map(({ schema, name, tuples, sizeBytes: size }) => ({
          ...{ name: `${schema}.${name}`, rows: tuples < 0 ? null : tuples, size_bytes: size },
        })),
        excluded: origin.manifest.left_out?.tables ?? [],
        estimate_ms: stop.estimateMs,
      },
      failure,
    }
  })
}

/** All of it, where the rest is still to be shown. */
async function problemsOf(run: Run, manifest: Parameters<typeof checkWhole>[0], what: string) {
  try {
    if (run.target) await refuseFilled(run.target, run.context.connection().database)
    await checkWhole(manifest, what, targetOf(run))
    return undefined
  } catch (error) {
    if (error instanceof AppError) return error
    throw asAppError(error)
  }
}
