import { AppError, withReport } from '../errors.ts'
import type { Log } from '../log.ts'
import type { BeforeChange } from '../plan.ts'
import type { Db, Sql } from '../postgres/db.ts'
import { pinPath, type RunsAs, setPath } from '../postgres/search-path.ts'
import { sendPieces } from '../postgres/send.ts'
import { inTransaction } from '../postgres/transaction.ts'
import { piecesOf } from '../sql/pieces.ts'
import { setSettings, unsetLocally } from '../sql/settings.ts'
import { seedFailed } from './failure.ts'
import { recordSeed } from './history.ts'
import type { SeedStep } from './plan.ts'
import { becomeRole } from './role.ts'
import { loadRows } from './rows.ts'
import type { Seed, SeedResult } from './types.ts'

export type SeedOptions = {
  /** The role that writes the rows (the owner of the schema), and the search_path for names in the files. */
  place: RunsAs
  toolVersion: string
  /** The procedure that records the seeds, for a session that may not write the state itself. */
  recorder?: string | undefined
  beforeChange: BeforeChange
  /** Throws when the run must not go on, because its lock is lost. */
  guard(): void
  log: Log
}

/**
 * Loads the seeds of a plan, each in one transaction together with its row in pgbosun.seeds, and stops at the first failure.
 *
 * @throws {AppError} `seed` (or `locked`, `refused`) with file and line, if known, and the results so far as `report.seeds`;
 *         nothing of the failed seed stays. The error of a lost connection is thrown as it is.
 */
export async function applySeeds(sql: Sql, steps: SeedStep[], options: SeedOptions): Promise<SeedResult[]> {
  const results = steps.map(({ seed }): SeedResult => ({ name: seed.name, state: 'not-run', rows: 0, durationMs: 0 }))
  for (const [i, { seed }] of steps.entries()) {
    options.guard()
    await options.beforeChange()
    const startedAt = performance.now()
    const finish = (state: 'done' | 'failed', rows = 0) => {
      results[i] = { name: seed.name, state, rows, durationMs: Math.round(performance.now() - startedAt) }
    }
    try {
      const rows = await loadSeed(sql, seed, options)
      finish('done', rows)
      options.log.info({ seed: seed.name, rows }, 'loaded a seed')
    } catch (cause) {
      finish('failed')
      const error = await seedFailed(sql, seed, cause, options)
      throw error instanceof AppError ? withReport(error, { seeds: results.map(renderResult) }) : error
    }
  }
  return results
}

/** A result as JSON documents have it. */
export const renderResult = ({ name, state, rows, durationMs }: SeedResult) => ({
  name,
  state,
  rows,
  duration_ms: durationMs,
})

/** Undoes whatever the statements of a seed have set in the session. */
const asOurselves = 'set session authorization default; reset all; set role none'

async function loadSeed(sql: Sql, seed: Seed, { place, toolVersion, recorder }: SeedOptions): Promise<number> {
  const { role } = place
  return inTransaction(sql, async (tx) => {
    await tx.unsafe(asOurselves)
    if (role !== undefined) await becomeRole(tx, role)
    const rows = seed.kind === 'sql' ? await runStatements(tx, seed.text, place) : await loadRows(tx, seed, place)
    await tx.unsafe(asOurselves)
    await recordSeed(tx, seed, rows, { toolVersion, recorder })
    return rows
  })
}

/** Returns how many rows the statements wrote, including triggers and cascades. The driver only keeps the count of the last statement. */
async function runStatements(tx: Db, text: string, { path, urlSettings = {} }: RunsAs): Promise<number> {
  const before = await rowsWritten(tx)
  await tx.unsafe(`${setSettings(urlSettings, 'local ')}${setPath(path, 'local ')}`)
  await sendPieces(tx, text, piecesOf(text))
  await tx.unsafe(`${unsetLocally(urlSettings)}${pinPath}`)
  return (await rowsWritten(tx)) - before
}

/** The rows that the session has counted so far. Earlier transactions may be included; within one transaction, the difference is exact. */
async function rowsWritten(tx: Db): Promise<number> {
  const [row] = await tx.unsafe<{ rows: string }[]>(
    `select coalesce(pg_catalog.sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint as rows
       from pg_catalog.pg_stat_xact_user_tables where schemaname !~ '^pg_temp'`,
  )
  return Number(row?.rows ?? 0)
}
