import type { Format } from './format.ts'
import { pgbosun } from './pgbosun.ts'
import type { FormatName } from './types.ts'

/** The format of a format. That of our own format is always loaded, the others on demand. */
export async function openFormat(format: FormatName): Promise<Format> {
  return format === 'pgbosun' ? pgbosun : load[format]()
}

const load: Record<Exclude<FormatName, 'pgbosun'>, () => Promise<Format>> = {
  sqlx: async () => (await import('./sqlx.ts')).sqlx,
  dbmate: async () => (await import('./dbmate.ts')).dbmate,
  'golang-migrate': async () => (await import('./golang-migrate.ts')).golangMigrate,
  goose: async () => (await import('./goose.ts')).goose,
  flyway: async () => (await import('./flyway.ts')).flyway,
  'node-pg-migrate': async () => (await import('./node-pg-migrate.ts')).nodePgMigrate,
  'graphile-migrate': async () => (await import('./graphile-migrate.ts')).graphileMigrate,
}
