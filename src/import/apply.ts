import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { BeforeChange } from '../plan.ts'
import { becomeRole } from '../postgres/become-role.ts'
import { copyIn } from '../postgres/copy.ts'
import type { Db, Sql } from '../postgres/db.ts'
import { pinPath, type RunsAs, setPath } from '../postgres/search-path.ts'
import { sequencesOf } from '../postgres/sequence-use.ts'
import { advanceSequences } from '../postgres/sequences.ts'
import { inTransaction } from '../postgres/transaction.ts'
import { quoteIdent, quoteName } from '../sql/quote.ts'
import { setSettings, unsetLocally } from '../sql/settings.ts'
import { counted, someOf } from '../units.ts'
import { compareSql, differences, type Loaded, sampleOf } from './compare.ts'
import { copyOptions } from './convert.ts'
import { deriveSchema } from './derive.ts'
import { failedIn, importFailed } from './failure.ts'
import type { TableFacts } from './findings.ts'
import { recordImport } from './history.ts'
import type { TablePlan } from './mapping.ts'
import type { OpenKey } from './plan.ts'
import type { Prepared } from './prepared.ts'
import { type Reading, readRows } from './sqlite/rows.ts'
import { hashRows } from './sqlite/sample.ts'
import { readTarget } from './target.ts'

export type ImportWork = {
  /** The role that writes the rows (the owner of the schema), and the search_path for the triggers of its tables. */
  place: RunsAs
  toolVersion: string
  /** The procedure that records the import, for a session that may not write the state itself. */
  recorder?: string | undefined
  lockTimeoutMs: number
  beforeChange: BeforeChange
  /** Throws when the run must not go on, because its lock is lost, or it was asked to stop. */
  guard(): void
  onProgress(rows: number, of: number): void
  log: Log
}

export type ImportedTable = { name: string; rows: number; compared: number }

/**
 * Writes the rows of a plan, compares them with the file and records the import, in one transaction.
 *
 * @throws {AppError} `seed` (or `locked`, `refused`) with the table and the row, if known; nothing stays. The error of a lost connection is
 *         thrown as it is.
 */
export async function applyImport(sql: Sql, prepared: Prepared, work: ImportWork): Promise<ImportedTable[]> {
  await work.beforeChange()
  try {
    return await inTransaction(sql, (tx) => write(tx, prepared, work))
  } catch (cause) {
    throw await importFailed(sql, prepared, cause, work)
  }
}

/** Undoes whatever triggers have set in the session. */
const asOurselves = 'set session authorization default; reset all; set role none'

async function write(tx: Db, prepared: Prepared, work: ImportWork): Promise<ImportedTable[]> {
  const { plan, opened } = prepared
  const { role } = work.place
  await tx.unsafe(asOurselves)
  await tx.unsafe(
    `set local timezone = 'UTC'; set local datestyle = 'ISO, MDY'; set local intervalstyle = 'postgres'; set local row_security = off; set local lock_timeout = ${work.lockTimeoutMs}`,
  )
  if (role !== undefined) await becomeRole(tx, role, 'the rows of an import')
  const derived = plan.derived ? deriveSchema(plan) : undefined
  for (const statement of derived?.before ?? []) await tx.unsafe(statement)
  await lockAndRefuseFilled(tx, prepared)
  await deferKeys(tx, plan.schema, plan.open)
  const facts = await copyAll(tx, prepared, work)
  await tx.unsafe('set constraints all immediate')
  await restoreKeys(tx, plan.schema, plan.open)
  for (const statement of derived?.after ?? []) await tx.unsafe(statement)
  await setSequences(tx, prepared)
  const tables = await compareAll(tx, prepared, facts, work)
  opened.refuseChanged()
  work.guard()
  await tx.unsafe(asOurselves)
  await recordImport(tx, recordOf(prepared, tables), work)
  return tables
}

const nameIn = ({ plan }: Prepared, { to }: TablePlan) => quoteName(plan.schema, to)

/** From here on nobody else writes into these tables. */
async function lockAndRefuseFilled(tx: Db, prepared: Prepared): Promise<void> {
  const { plan } = prepared
  for (const table of plan.tables) {
    const name = nameIn(prepared, table)
    await failedIn(table.to, () => tx.unsafe(`lock table ${name} in share row exclusive mode`))
  }
  if (!plan.derived) await refuseFilled(tx, prepared)
}

/** @throws {AppError} `seed` with the tables that have rows, and how many */
export async function refuseFilled(db: Db, prepared: Pick<Prepared, 'plan' | 'opened'>): Promise<void> {
  const filled: string[] = []
  for (const { to } of prepared.plan.tables) {
    const name = quoteName(prepared.plan.schema, to)
    const [some] = await db.unsafe<{ some: boolean }[]>(`select exists (select from ${name}) as "some"`)
    if (!some?.some) continue
    const [row] = await db.unsafe<{ rows: string }[]>(`select pg_catalog.count(*)::text as rows from ${name}`)
    filled.push(`${to} (${counted(Number(row?.rows), 'row')})`)
  }
  if (filled.length === 0) return
  throw new AppError(
    'seed',
    `${prepared.opened.name} is only imported into empty tables, and these have rows: ${someOf(filled)}`,
    {
      hint: 'empty them, or list them under `import.exclude`; where the rows are those of the file already, remove `import` from the configuration',
    },
  )
}

/** Tables that refer to each other in a circle can only be filled while that is not checked. */
async function deferKeys(tx: Db, schema: string, keys: readonly OpenKey[]): Promise<void> {
  for (const { table, name, deferrable } of keys)
    if (!deferrable)
      await tx.unsafe(
        `alter table ${quoteName(schema, table)} alter constraint ${quoteIdent(name)} deferrable initially deferred`,
      )
  await tx.unsafe('set constraints all deferred')
}

async function restoreKeys(tx: Db, schema: string, keys: readonly OpenKey[]): Promise<void> {
  for (const { table, name, deferrable } of keys)
    if (!deferrable)
      await tx.unsafe(`alter table ${quoteName(schema, table)} alter constraint ${quoteIdent(name)} not deferrable`)
}

/** @returns what was read of each table */
async function copyAll(tx: Db, prepared: Prepared, work: ImportWork): Promise<TableFacts[]> {
  const { urlSettings = {}, path } = work.place
  const total = prepared.rows.reduce((sum, rows) => sum + Number(rows), 0)
  const facts: TableFacts[] = []
  let done = 0
  await tx.unsafe(`${setSettings(urlSettings, 'local ')}${setPath(path, 'local ')}`)
  for (const [i, table] of prepared.plan.tables.entries()) {
    const onRows = (rows: number) => {
      work.guard()
      done += rows
      work.onProgress(done, total)
    }
    const columns = table.columns.map(({ to }) => quoteIdent(to)).join(', ')
    const copy = `copy ${nameIn(prepared, table)} (${columns}) from stdin ${copyOptions}`
    await failedIn(table.to, () =>
      copyIn(
        tx,
        copy,
        readRows(readingOf(prepared, i, onRows), (found) => void facts.push(found)),
      ),
    )
    work.log.debug({ table: table.to, rows: Number(prepared.rows[i]) }, 'imported the rows of a table')
  }
  await tx.unsafe(`${unsetLocally(urlSettings)}${pinPath} set local timezone = 'UTC'; set local datestyle = 'ISO, MDY'`)
  return facts
}

const readingOf = ({ opened, plan, sql, source }: Prepared, i: number, onRows: (rows: number) => void): Reading => ({
  ...{ db: opened.db, name: opened.name, sizeBytes: opened.sizeBytes, table: plan.tables[i]!, sql: sql[i]! },
  ...{ utf8: source.utf8, onRows },
})

async function setSequences(tx: Db, prepared: Prepared): Promise<void> {
  const { plan } = prepared
  const now = plan.derived ? await readTarget(tx, plan.schema) : undefined
  for (const table of plan.tables) {
    const columns = now
      ? now.tables.find(({ name }) => name === table.to)!.columns
      : table.columns.flatMap(({ target }) => target ?? [])
    await advanceSequences(tx, { table: nameIn(prepared, table), sequences: sequencesOf(columns) })
  }
}

async function compareAll(tx: Db, prepared: Prepared, facts: TableFacts[], work: ImportWork): Promise<ImportedTable[]> {
  const { plan } = prepared
  const tables: ImportedTable[] = []
  const problems: string[] = []
  for (const [i, table] of plan.tables.entries()) {
    work.guard()
    const sample = sampleOf(table, facts[i]!)
    // The server reads while we do. Its error waits until the sample is read, and must not be unhandled meanwhile.
    const asked = ask(tx, [`analyze ${nameIn(prepared, table)}`, ...compareSql(plan.schema, table, sample)])
    asked.catch(() => {})
    const hash = await hashRows(
      readingOf(prepared, i, () => work.guard()),
      sample,
    )
    const loaded = await asked
    problems.push(...differences(table, facts[i]!, loaded, hash))
    tables.push({
      name: table.to,
      rows: Number(facts[i]!.rows),
      compared: Number(sample ? facts[i]!.rows / sample.divisor : facts[i]!.rows),
    })
  }
  if (problems.length === 0) return tables
  throw new AppError('seed', `the rows that were loaded are not those of ${prepared.opened.name}: ${problems[0]}`, {
    ...(problems.length > 1 && {
      excerpt: problems
        .slice(1)
        .map((problem) => `  ${problem}`)
        .join('\n'),
    }),
    hint: 'a trigger of the table may have changed them: let it leave an import alone, or exclude the table; nothing was imported',
  })
}

const recordOf = ({ name, opened, plan }: Prepared, tables: ImportedTable[]) => ({
  name,
  rows: tables.reduce((sum, { rows }) => sum + rows, 0),
  source: {
    sqlite: opened.name,
    size_bytes: opened.sizeBytes,
    schema: plan.schema,
    derived: plan.derived,
    tables: Object.fromEntries(tables.map((table) => [table.name, table.rows])),
  },
})

async function ask(tx: Db, queries: readonly string[]): Promise<Loaded> {
  let all: Loaded = {}
  for (const query of queries) all = { ...all, ...(await tx.unsafe<Loaded[]>(query))[0] }
  return all
}
