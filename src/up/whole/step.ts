import { basename } from 'node:path'
import { AppError, hasReason } from '../../errors.ts'
import { isImported } from '../../import/history.ts'
import type { Change } from '../../plan.ts'
import type { Session } from '../../postgres/session.ts'
import { type CheckedWhole, checkWhole, importWhole, type WholeTarget } from '../../restore/whole/whole.ts'
import { desiredRoles } from '../../roles/desired.ts'
import { asAppError } from '../../run/failure.ts'
import type { Journal } from '../../run/journal.ts'
import { withProgress } from '../../run/progress.ts'
import type { Run } from '../../run/run.ts'
import type { Show, Story } from '../../run/story.ts'
import type { SqlSeed } from '../../seed/types.ts'
import { counted, megabytes, seconds } from '../../units.ts'
import { type WholeImport, wholeImportOf } from '../import-of.ts'
import { readAfter, runAfter } from './after.ts'
import { mayBeDropped, refuseFilled } from './empty.ts'
import type { Origin, Reading } from './origin.ts'
import { prepareState, recordWhole } from './record.ts'

/** What an import of a whole database did. */
export type WholeDone = {
  what: string
  tables: number
  rows: number
  durationMs: number
  /** The name of the database that gave way, where it was not empty after all. */
  kept: string | undefined
}

/** The name in `pgbosun.imports`. A database is imported whole once. */
export const nameOf = (configured: WholeImport) => (configured.url === undefined ? 'backup' : 'postgresql')

/** Opens where it comes from. The code for either is only loaded where it is needed. */
export async function withOrigin<T>(
  run: Run,
  configured: WholeImport,
  exclude: readonly string[],
  use: (origin: Origin) => Promise<T>,
): Promise<T> {
  if (configured.url !== undefined) {
    const { withPostgres } = await import('./from-postgres.ts')
    return withPostgres(run, { ...configured, url: configured.url }, exclude, use)
  }
  const { withBackup } = await import('./from-backup.ts')
  return withBackup(run, { ...configured, backup: configured.backup! }, use)
}

/** The step of `plan`. @returns whether it would import something */
export async function planOfWhole(run: Run, story: Story): Promise<Change[]> {
  const configured = wholeImportOf(run.context)!
  let changes: Change[] = []
  await story.step('import', async (show) => {
    const { target } = run
    if (target && (await isImported(target.sql, nameOf(configured)))) return
    if (target) await refuseFilled(target, run.context.connection().database)
    const after = await readAfter(run.context, configured.after)
    await asImport(() =>
      withOrigin(run, configured, [], async (origin) => {
        await check(run, origin)
        changes = changesOf(run, origin, after)
        show(changes)
      }),
    )
  })
  return changes
}

/** Before anything is changed: `import.after` must be readable. */
export async function refuseAfter(run: Run, story: Story): Promise<void> {
  try {
    await readAfter(run.context, wholeImportOf(run.context)?.after)
  } catch (error) {
    story.fail('import')
    throw error
  }
}

/** Imports what is configured, unless that was done before. @returns undefined then */
export async function importConfigured(
  run: Run,
  { show, journal, exclude = [] }: { show: Show; journal: Journal; exclude?: readonly string[] },
): Promise<WholeDone | undefined> {
  const { context } = run
  const configured = wholeImportOf(context)!
  const target = await run.openTarget()
  if (await isImported(target.sql, nameOf(configured))) return undefined
  const { database } = context.connection()
  await refuseFilled(target, database)
  const after = await readAfter(context, configured.after)
  return asImport(() =>
    withOrigin(run, configured, exclude, async (origin) => {
      const checked = await check(run, origin)
      show(changesOf(run, origin, after))
      await journal.beforeChange()
      const done = await carryOut(run, origin, checked, after)
      tell(run, done, after, origin)
      return done
    }),
  )
}

const check = (run: Run, { manifest, what }: Origin): Promise<CheckedWhole> => checkWhole(manifest, what, targetOf(run))

export const targetOf = ({ context, cluster }: Run): WholeTarget => {
  const { loaded, runId, command, log, signal, out } = context
  const { config } = loaded
  const connection = context.connection()
  return {
    ...{ into: connection.database, lock: cluster, lockDatabase: config.lock.database, connection },
    declared: desiredRoles(config).roles.map(({ name }) => name),
    ...{ runId, command, log, signal, warn: out.warn, now: () => new Date() },
    wait: { timeoutMs: config.wait.timeout, patient: config.wait.patient },
  }
}

const changesOf = ({ context }: Run, { summary }: Origin, after: SqlSeed | undefined): Change[] => [
  { action: 'import', object: `database ${context.connection().database}`, reason: summary },
  ...(after ? [{ action: 'run', object: `file ${after.name}`, reason: 'in the import, before anybody sees it' }] : []),
]

async function carryOut(
  run: Run,
  origin: Origin,
  checked: CheckedWhole,
  after: SqlSeed | undefined,
): Promise<WholeDone> {
  const { context } = run
  const startedAt = performance.now()
  let result: Pick<WholeDone, 'tables' | 'rows'> | undefined
  let kept: string | undefined
  await withProgress(context, 'MB imported', (onProgress) =>
    origin.read(async (reading) => {
      // what gives way is renamed, which nobody may be connected to
      await run.closeTarget()
      const imported = await importWhole(
        {
          ...{ ...checked, ...reading, what: origin.what, isEmpty: mayBeDropped, onPublished: () => {} },
          onProgress: (done, total) => onProgress(megabytes(done), megabytes(Math.max(done, total))),
          async inCopy(session) {
            result = await workIn(session, { run, origin, reading, checked, after, startedAt })
          },
        },
        targetOf(run),
      )
      kept = imported.kept
    }),
  )
  await run.openTarget()
  return { ...result!, what: origin.what, durationMs: Math.round(performance.now() - startedAt), kept }
}

type WorkIn = {
  run: Run
  origin: Origin
  reading: Reading
  checked: CheckedWhole
  after: SqlSeed | undefined
  startedAt: number
}

/** In the loaded database, before it is seen: compares it, runs the file, and records the import. */
async function workIn(session: Session, { run, origin, reading, checked, after, startedAt }: WorkIn) {
  const { context } = run
  const { rows, tables, said } = await reading.compare(session)
  context.out.print(`compared ${counted(rows, 'row')} of ${counted(tables, 'table')}, and ${said}`)
  await prepareState(session)
  run.guard()
  if (after) {
    const database = await databaseOf(session)
    const written = await runAfter(run, after, { own: session, database, owner: checked.manifest.database.owner })
    context.out.print(`ran      ${after.name}, which wrote ${counted(written, 'row')}`)
  }
  run.guard()
  const source = {
    ...origin.record,
    ...(after && { after: basename(after.name), after_sha256: after.checksum }),
    ...{ tables, duration_ms: Math.round(performance.now() - startedAt) },
  }
  await recordWhole(session, { name: origin.name, source, rows }, context.version)
  return { rows, tables }
}

async function databaseOf({ sql }: Session): Promise<string> {
  const [row] = await sql.unsafe<{ name: string }[]>('select pg_catalog.current_database() as name')
  return row!.name
}

function tell({ context }: Run, { durationMs, kept }: WholeDone, after: SqlSeed | undefined, { name }: Origin): void {
  const { out } = context
  const until = after ? 'compared, changed and published' : 'compared and published'
  out.print(
    name === 'postgresql'
      ? `imported in ${seconds(durationMs)}, ${until}: what was written at the source meanwhile did not come along`
      : `imported in ${seconds(durationMs)}, ${until}`,
  )
  if (kept !== undefined)
    out.print(`kept     what the database was before is ${kept}: \`pgbosun restore --discard\` drops it`)
}

/** A failure of the client programs, and of the load, is 40 in an import. A store that cannot be read stays 60. */
async function asImport<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (hasReason(error, 'outcome-unknown')) throw error
    const failure = error instanceof AppError ? error : asAppError(error)
    const ours = failure.kind === 'restore' || (failure.kind === 'backup' && hasReason(failure, 'client-missing'))
    throw ours ? failure.with({ kind: 'seed' }) : error
  }
}
