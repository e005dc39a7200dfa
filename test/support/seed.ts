import postgres from 'postgres'
import { expect } from 'vitest'
import type { SeedConfig } from '../../src/config/schema.ts'
import { silentLog } from '../../src/log.ts'
import { applySeeds } from '../../src/seed/apply.ts'
import { checkSteps, findDifferences } from '../../src/seed/check.ts'
import { seedHistory } from '../../src/seed/history.ts'
import { planSeeds } from '../../src/seed/plan.ts'
import { readSeeds, withChecksums } from '../../src/seed/read.ts'
import { test as base, urlOf } from './postgres.ts'

type User = { name: string; password: string }
type Load = (
  entries: SeedConfig[],
  options?: {
    environment?: string
    force?: boolean
    role?: string
    as?: User
    check?: boolean
    acceptDeletes?: boolean
    /** Between the plan and the loading. */
    between?: () => Promise<void>
  },
) => Promise<string[]>

/** `load` reads, plans (with `check`: also checks and orders) and applies seeds from the test's folder, and returns `name rows` for each loaded one. */
export const testSeeds = base.extend<{ load: Load }>({
  load: async ({ dir, database, sql }, use) => {
    await sql.unsafe(`create schema pgbosun; create table pgbosun.seeds
      (name text primary key, checksum text, rows bigint, applied_at timestamptz, tool_version text)`)
    await use(
      async (
        entries,
        {
          environment = 'dev',
          force = false,
          role,
          as,
          check = false,
          acceptDeletes = false,
          between = async () => {},
        } = {},
      ) => {
        const found = await readSeeds(entries, { baseDir: dir, environment })
        const own = postgres(urlOf(database, as), { max: 1, fetch_types: false, onnotice() {} })
        try {
          const history = await seedHistory(own)
          const seeds = await withChecksums(found, history)
          const differs = await findDifferences(own, seeds, history)
          const planned = planSeeds(seeds, history, { force, differs })
          const steps = check ? await checkSteps(own, planned) : planned
          const options = {
            place: { role, path: ['$user', 'public'] },
            acceptDeletes,
            toolVersion: '0.0.0',
            beforeChange: between,
            guard() {},
            log: silentLog,
          }
          const results = await applySeeds(own, steps, options)
          expect(
            await own`select current_user = session_user and current_setting('search_path') = '"$user", public' as same`,
          ).toEqual([{ same: true }])
          return results.map(({ name, rows }) => `${name} ${rows}`)
        } finally {
          await own.end({ timeout: 0 })
        }
      },
    )
  },
})
