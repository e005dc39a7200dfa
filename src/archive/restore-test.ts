import * as z from 'zod'
import type { Secrets } from '../config/keys.ts'
import { putText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { objectKey, verifiedAtName } from './layout.ts'
import { writeSigned } from './seal.ts'
import { aboutOf } from './verification.ts'

/** Result of a test restore: the backup was restored into a database that was then dropped. */
export type RestoreTest = {
  /** When it began. */
  at: Date
  ok: boolean
  problem: string | null
  /** How long the restore took, without the comparison; null if it failed. It is that of `server`. */
  durationMs: number | null
  /** Where it was restored: `db-test:5432, PostgreSQL 17.2`. */
  server: string
}

/** What was found besides, for whoever reads the record. */
export type RestoreTestDetails = {
  sameServer: boolean
  tablesCompared: number
  rowsCompared: number
  /** Rows whose contents were compared. */
  rowsSampled: number
  /** Written by the whole server meanwhile; null if it did not tell. */
  walBytes: number | null
  /** What was not restored, in words. */
  leftOut: string[]
}

const level = 'restore'

const schema = z.looseObject({
  level: z.literal(level),
  verified_at: z.iso.datetime(),
  ok: z.boolean(),
  problem: z.string().nullable(),
  duration_ms: z.int().min(0).nullable(),
  server: z.string(),
})

type Which = { database: string; id: string }

/** The record of a test restore as it is stored; undefined for what is none. */
export function parseRestoreTest(text: string): RestoreTest | undefined {
  try {
    const { data } = schema.safeParse(JSON.parse(text), { jitless: true })
    return (
      data && {
        at: new Date(data.verified_at),
        ok: data.ok,
        problem: data.problem,
        durationMs: data.duration_ms,
        server: data.server,
      }
    )
  } catch {
    return undefined
  }
}

/** Writes the result of a test restore next to the backup, as a new object. */
export async function recordRestoreTest(
  store: Store,
  { database, id }: Which,
  { at, ok, problem, durationMs, server }: RestoreTest,
  details: RestoreTestDetails | undefined,
  secrets: Secrets,
): Promise<void> {
  const record = {
    id,
    level,
    ok,
    problem,
    verified_at: at.toISOString(),
    duration_ms: durationMs,
    server,
    ...(details && {
      same_server: details.sameServer,
      tables_compared: details.tablesCompared,
      rows_compared: details.rowsCompared,
      rows_sampled: details.rowsSampled,
      wal_bytes: details.walBytes,
      left_out: details.leftOut,
    }),
  }
  await putText(store, objectKey(database, id, verifiedAtName(at)), writeSigned(record, aboutOf(database, id), secrets))
}
