import { flyway } from '../../src/formats/flyway.ts'
import type { Format } from '../../src/formats/format.ts'
import { pgbosun } from '../../src/formats/pgbosun.ts'
import type { Applied, Migration } from '../../src/formats/types.ts'
import type { HistoryPolicy } from '../../src/migrate/plan/verify.ts'

/** The file of a migration: `1_x` of version 1. */
export const file = (version: number | string, extra: Partial<Migration> = {}): Migration => ({
  id: String(version),
  name: `${version}_x`,
  kind: 'versioned',
  path: `migrations/${version}_x.sql`,
  sha256: `sha of ${version}`,
  checksum: `sha of ${version}`,
  text: 'select 1',
  line: 1,
  native: {},
  transactional: true,
  ...extra,
})

/** Its row in the history: applied as the {@link file} is now. */
export const row = (version: number | string, extra: Partial<Applied> = {}): Applied => ({
  seq: Number(version),
  id: String(version),
  name: `${version}_x`,
  sha256: `sha of ${version}`,
  checksum: `sha of ${version}`,
  progress: null,
  status: 'applied',
  appliedAt: '2026-01-01T00:00:00.000Z',
  durationMs: 1,
  appliedBy: 'app',
  toolVersion: '0.1.0',
  ...extra,
})

const policyOf = ({ policy, compare, name }: Format): HistoryPolicy => ({
  ...policy,
  ahead: 'warn',
  compare,
  format: name,
  own: name === 'pgbosun',
})

/** The policy of pgbosun by default. */
export const ours = policyOf(pgbosun)

/** That of Flyway, in Flyway's own history. */
export const flyways = policyOf(flyway)
