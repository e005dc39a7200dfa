import { basename, resolve } from 'node:path'
import { usage } from '../errors.ts'
import { applyImport, type ImportedTable, refuseFilled } from '../import/apply.ts'
import { checksumOf } from '../import/checksum.ts'
import { importProblems } from '../import/describe.ts'
import { isImported } from '../import/history.ts'
import { inspectValues, prepareImport } from '../import/prepare.ts'
import type { Inspected, Prepared } from '../import/prepared.ts'
import { fingerprint, openSource } from '../import/sqlite/open.ts'
import type { Change, Item } from '../plan.ts'
import { becomeRole } from '../postgres/become-role.ts'
import type { Session } from '../postgres/session.ts'
import { inTransaction } from '../postgres/transaction.ts'
import type { Context } from '../run/context.ts'
import type { Journal } from '../run/journal.ts'
import { withProgress } from '../run/progress.ts'
import type { Run } from '../run/run.ts'
import type { Story } from '../run/story.ts'
import { counted } from '../units.ts'
import { importOf } from './import-of.ts'
import { warnOfIsolation } from './isolation/choose.ts'
import { withFileSession } from './isolation/session.ts'
import { defaultRole } from './owner.ts'
import { placeOf } from './place.ts'
import { type Gate, openGate } from './reviewed/types.ts'
import { findTargets, mainTarget } from './targets.ts'

/** The import of the configuration, with where its file is, and what it is called in the state. */
type Configured = {
  path: string
  file: string
  name: string
  schema: string
  types: Record<string, string>
  exclude: string[]
}

/** @throws {AppError} `usage` where none is configured */
export function configuredImport(context: Context, exclude: readonly string[] = []): Configured {
  const source = importOf(context)
  if (!source)
    throw usage('no import is configured', {
      hint: 'set `import: { sqlite: FILE }` in the configuration, or PGBOSUN_IMPORT_SQLITE',
    })
  return {
    ...source,
    path: resolve(context.loaded.baseDir, source.sqlite),
    file: source.sqlite,
    name: basename(source.sqlite),
    exclude: [...source.exclude, ...exclude],
  }
}

/** The step of `up`. */
export async function importStep(
  run: Run,
  story: Story,
  { journal, gate }: { journal: Journal; gate: Gate },
): Promise<void> {
  await story.step(
    'import',
    async (ungated) => {
      const show = gate('import', ungated)
      const session = await run.openTarget()
      await withPrepared(run, session, [], async (prepared) => {
        refuse(prepared, prepared.problems)
        const changes = changesOf(prepared)
        const file = gate === openGate ? [] : [await fileItem(run)]
        // what goes into which table follows from the file, the configuration and the migrations
        show(changes, { items: () => [...file, ...changes.map((change) => ({ ...change, implied: true }))] })
        await applyPrepared(run, session, prepared, journal)
      })
    },
    'nothing to do: imported before',
  )
}

/** The step of `plan`. @param after why it cannot be planned yet @returns what it would change, as far as that is known, to be reviewed */
export async function planOfImport(run: Run, story: Story, after: string | undefined): Promise<Item[]> {
  const session = run.target
  const { path, file, name } = configuredImport(run.context)
  if (after !== undefined || !session) {
    if (session && (await isImported(session.sql, name))) {
      await story.step('import', async () => undefined)
      return []
    }
    fingerprint(path, file)
    story.defer('import', after ?? 'after the database is created')
    return [await fileItem(run)]
  }
  let items: Item[] = []
  await story.step('import', async (show) => {
    await withPrepared(run, session, [], async (prepared) => {
      refuse(prepared, (await inspect(run, prepared)).problems)
      const changes = changesOf(prepared)
      show(changes)
      items = [await fileItem(run), ...changes]
      await warnOfIsolation(
        run.context,
        session.sql,
        await defaultRole(run.context, session.sql, ownTarget(run.context)),
      )
    })
  })
  return items
}

/** The content of the file, to be reviewed: the numbers of rows do not show it. */
async function fileItem({ context }: Run): Promise<Item> {
  const { path, name } = configuredImport(context)
  const sha256 = await checksumOf(path, context.signal)
  return { action: 'import', object: `file ${name}`, reason: 'not imported before', sha256 }
}

/** Before anything is changed. @throws {AppError} `usage` where there is no file, and it was not imported before */
export async function refuseMissingFile(run: Run, story: Story): Promise<void> {
  const { path, file, name } = configuredImport(run.context)
  try {
    if (!run.target || !(await isImported(run.reads(run.target), name))) fingerprint(path, file)
  } catch (error) {
    story.fail('import')
    throw error
  }
}

/** Opens the file and plans, unless it was imported before; then `use` is not called. */
export async function withPrepared<T>(
  run: Run,
  { sql }: Session,
  exclude: readonly string[],
  use: (prepared: Prepared) => Promise<T>,
): Promise<T | undefined> {
  const { context } = run
  const configured = configuredImport(context, exclude)
  if (await isImported(sql, configured.name)) return undefined
  const opened = await openSource(configured.path, configured.file, context.signal)
  try {
    const prepared = await prepareImport(sql, { name: configured.name, opened }, configured)
    for (const warning of prepared.warnings) context.out.warn(`${configured.file}: ${warning}`)
    if (!prepared.plan.derived && prepared.problems.length === 0) await refuseRows(run, sql, prepared)
    return await use(prepared)
  } finally {
    opened.close()
  }
}

/** Reads every value, for a plan. */
export async function inspect({ context }: Run, prepared: Prepared): Promise<Inspected> {
  const found = await inspectValues(prepared, () => context.signal.throwIfAborted())
  prepared.opened.refuseChanged()
  return found
}

/** Looks into the tables as their owner: it runs no code of theirs. */
async function refuseRows({ context }: Run, sql: Session['sql'], prepared: Prepared): Promise<void> {
  const role = await defaultRole(context, sql, ownTarget(context))
  await inTransaction(sql, async (tx) => {
    await tx.unsafe('set local row_security = off')
    if (role !== undefined) await becomeRole(tx, role, 'the rows of an import')
    await refuseFilled(tx, prepared)
  })
}

/** @throws {AppError} `seed` with all that is in the way */
export function refuse({ opened }: Prepared, problems: readonly string[]): void {
  const error = importProblems(opened, problems)
  if (error) throw error
}

/** What an import will do, by table. */
export const changesOf = ({ plan, rows, opened }: Prepared): Change[] =>
  plan.tables.map(({ to }, i) => ({
    action: 'import',
    object: `table ${plan.schema}.${to}`,
    reason: `${counted(Number(rows[i]), 'row')} of ${opened.name}${plan.derived ? ', which creates it' : ''}`,
  }))

/** Imports exactly what was planned. */
export async function applyPrepared(
  run: Run,
  session: Session,
  prepared: Prepared,
  journal: Journal,
): Promise<ImportedTable[]> {
  const { context } = run
  const place = await placeOf(context, session.sql, ownTarget(context))
  const database = context.connection().database
  const work = { own: session, database, role: place.role, imports: [prepared.name] }
  const tables = await withFileSession(run, work, ({ session: { sql }, recorder }) =>
    withProgress(context, 'rows', (onProgress) =>
      applyImport(sql, prepared, {
        ...{ place, recorder, toolVersion: context.version, lockTimeoutMs: context.loaded.config.lock.timeout },
        beforeChange: journal.beforeChange,
        guard: () => {
          run.guard()
          context.signal.throwIfAborted()
        },
        onProgress,
        log: context.log,
      }),
    ),
  )
  const rows = tables.reduce((sum, table) => sum + table.rows, 0)
  context.out.print(
    `imported and compared ${counted(rows, 'row')} of ${counted(tables.length, 'table')}; instants without a zone count as UTC`,
  )
  return tables
}

const ownTarget = (context: Context) => ({ role: mainTarget(findTargets(context, false))?.role })
