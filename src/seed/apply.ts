import { AppError, withReport } from '../errors.ts'
import type { Log } from '../log.ts'
import type { BeforeChange } from '../plan.ts'
import type { Db, Sql } from '../postgres/db.ts'
import type { RunsAs } from '../postgres/search-path.ts'
import { isServerError } from '../postgres/server-error.ts'
import { inTransaction } from '../postgres/transaction.ts'
import { endChecksum, readChecksum, startChecksum } from './checksum.ts'
import { seedFailed } from './failure.ts'
import { recordSeed } from './history.ts'
import { remembered, type SeedStep } from './plan.ts'
import { type OnSeedProgress, watchFile } from './progress.ts'
import { becomeRole } from './role.ts'
import { loadRows } from './rows.ts'
import { runStatements } from './statements.ts'
import type { RowsSeed, Seed, SeedResult, SqlSeed, Written } from './types.ts'

export type SeedOptions = {
  /** The role that writes the rows (the owner of the schema), and the search_path for names in the files. */
  place: RunsAs
  toolVersion: string
  /** The procedure that records the seeds, for a session that may not write the state itself. */
  recorder?: string | undefined
  /** Whether `sync` may delete however many rows. */
  acceptDeletes?: boolean
  beforeChange: BeforeChange
  /** Throws when the run must not go on, because its lock is lost. */
  guard(): void
  onProgress?: OnSeedProgress | undefined
  log: Log
}

/**
 * Loads the seeds of a plan, each in one transaction together with its row in pgbosun.seeds, and stops at the first failure. Seeds whose
 * tables refer to each other share a transaction.
 *
 * @throws {AppError} `seed` (or `locked`, `refused`) with file and line, if known, and the results so far as `report.seeds`;
 *         nothing of the failed seed stays. The error of a lost connection is thrown as it is.
 */
export async function applySeeds(sql: Sql, steps: SeedStep[], options: SeedOptions): Promise<SeedResult[]> {
  const results = steps.map(({ seed }): SeedResult => ({ name: seed.name, state: 'not-run', rows: 0, durationMs: 0 }))
  for (const group of groupsOf(steps)) {
    options.guard()
    await options.beforeChange()
    const finish = (step: SeedStep, state: SeedResult['state'], rows: number, startedAt: number) => {
      results[steps.indexOf(step)] = {
        name: step.seed.name,
        state,
        rows,
        durationMs: Math.round(performance.now() - startedAt),
      }
    }
    let [current, startedAt] = [group[0]!, performance.now()]
    try {
      await inTransaction(sql, async (tx) => {
        for (const step of group) {
          ;[current, startedAt] = [step, performance.now()]
          const { rows, ...counts } = await loadSeed(tx, step.seed, options, group.length > 1)
          finish(step, 'done', rows, startedAt)
          options.log.info({ seed: step.seed.name, rows, ...counts }, 'loaded a seed')
        }
      })
    } catch (cause) {
      const failed = culpritIn(group, cause) ?? current
      for (const step of group) finish(step, 'not-run', 0, performance.now())
      finish(failed, 'failed', 0, startedAt)
      const error = withCycle(await seedFailed(sql, failed.seed, cause, options), failed)
      throw error instanceof AppError ? withReport(error, { seeds: results.map(renderResult) }) : error
    }
  }
  return results
}

/** The steps of each transaction. */
function groupsOf(steps: readonly SeedStep[]): SeedStep[][] {
  const groups: SeedStep[][] = []
  for (const step of steps) {
    const last = groups.at(-1)
    if (last && step.together !== undefined && last[0]!.together === step.together) last.push(step)
    else groups.push([step])
  }
  return groups
}

/** The seed of a shared transaction whose table broke a constraint at its end. */
const culpritIn = (group: readonly SeedStep[], cause: unknown): SeedStep | undefined =>
  group.length > 1 && isServerError(cause)
    ? group.find(
        ({ seed }) =>
          seed.kind === 'rows' && seed.table.schema === cause.schema_name && seed.table.name === cause.table_name,
      )
    : undefined

const withCycle = (error: unknown, { cycle }: SeedStep) =>
  cycle !== undefined && error instanceof AppError && error.sqlstate === '23503' ? error.with({ hint: cycle }) : error

/** A result as JSON documents have it. */
export const renderResult = ({ name, state, rows, durationMs }: SeedResult) => ({
  name,
  state,
  rows,
  duration_ms: durationMs,
})

/** Undoes whatever the statements of a seed have set in the session. */
const asOurselves = 'set session authorization default; reset all; set role none'

type Loaded = Partial<Written> & { rows: number }

async function loadSeed(tx: Db, seed: Seed, options: SeedOptions, together: boolean): Promise<Loaded> {
  const { place, toolVersion, recorder } = options
  await tx.unsafe(asOurselves)
  if (place.role !== undefined) await becomeRole(tx, place.role)
  if (together) await tx.unsafe('set constraints all deferred')
  const { checksum, ...loaded } =
    seed.kind === 'sql' ? await loadStatements(tx, seed, place) : await loadFile(tx, seed, options, together)
  await tx.unsafe(asOurselves)
  await recordSeed(tx, { name: seed.name, checksum }, loaded.rows, { toolVersion, recorder })
  return loaded
}

const loadStatements = async (tx: Db, { text, checksum }: SqlSeed, place: RunsAs) => ({
  rows: await runStatements(tx, text, place),
  checksum,
})

async function loadFile(
  tx: Db,
  seed: RowsSeed,
  { place, acceptDeletes = false, onProgress }: SeedOptions,
  together: boolean,
) {
  // of what is sent: the file may have been replaced since it was planned
  const hash = startChecksum()
  const watch = watchFile(seed, onProgress)
  const onBytes = (bytes: Uint8Array) => {
    hash.update(bytes)
    watch(bytes)
  }
  const { target, print, ...written } = await loadRows(tx, seed, { place, acceptDeletes, together, onBytes })
  // a file of no rows for a table without a key has nothing to send
  const checksum = target.header.length > 0 ? endChecksum(hash, seed) : await readChecksum(seed)
  return {
    ...written,
    rows: written.inserted + written.updated + written.deleted,
    checksum: remembered(checksum, print),
  }
}
