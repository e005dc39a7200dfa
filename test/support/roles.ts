import { randomBytes } from 'node:crypto'
import postgres from 'postgres'
import type { SecretSource } from '../../src/config/fields.ts'
import { configSchema } from '../../src/config/schema.ts'
import { silentLog } from '../../src/log.ts'
import type { Change } from '../../src/plan.ts'
import { applyCluster, applyDatabase } from '../../src/roles/apply.ts'
import { refuseForeign } from '../../src/roles/authorise.ts'
import { readCluster, readDatabase } from '../../src/roles/current.ts'
import { desiredRoles } from '../../src/roles/desired.ts'
import { planCluster } from '../../src/roles/plan-cluster.ts'
import { planDatabase } from '../../src/roles/plan-database.ts'
import { planGrants } from '../../src/roles/plan-grants.ts'
import { readSecrets } from '../../src/roles/secrets.ts'
import { type Sql, server } from './postgres.ts'

export type Configuration = Parameters<typeof configSchema.parse>[0]
export type User = { name: string; password: string }

/** One session. Not by URL: the driver takes a database's name out of one without decoding it. */
export const openOne = (database: string, user: User = { name: 'postgres', password: server().password }): Sql =>
  postgres({
    host: '127.0.0.1',
    port: server().port,
    database,
    user: user.name,
    pass: user.password,
    max: 1,
    fetch_types: false,
    prepare: false,
    onnotice() {},
    no_subscribe: true,
  } as unknown as postgres.Options<Record<string, never>>) as Sql

async function withOne<T>(database: string, user: User | undefined, use: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = openOne(database, user)
  try {
    return await use(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

const words = (changes: Change[]) => changes.map(({ action, object, reason }) => `${action} ${object}: ${reason}`)

/**
 * What the commands do with a declaration, without locks: `converge` applies all three plans, database by database,
 * and returns what it changed; `drift` only plans. A password `{ env: X }` is `X` itself.
 */
export function declared(
  configuration: Configuration,
  { as, log = silentLog }: { as?: User; log?: typeof silentLog } = {},
) {
  const desired = desiredRoles(configSchema.parse(configuration))
  const read = async (source: SecretSource) =>
    'file' in source ? source.file : String((source as { env: string }).env)
  const context = { beforeChange() {}, log, lockTimeoutMs: 10_000 }
  const names = desired.databases.map(({ name }) => name)

  const cluster = (sql: Sql) =>
    Promise.all([readCluster(sql, desired), readSecrets(desired, read)]).then(([current, secrets]) =>
      planCluster(desired, current, secrets, randomBytes),
    )

  return {
    desired,
    cluster: <T>(use: (plan: Awaited<ReturnType<typeof cluster>>) => T) =>
      withOne('postgres', as, async (sql) => use(await cluster(sql))),

    async converge(): Promise<string[]> {
      const changes = await withOne('postgres', as, async (sql) => {
        const plan = await cluster(sql)
        await refuseForeign(sql, plan, { desired, major: server().major })
        await applyCluster(sql, plan, context)
        return [...plan.changes]
      })
      for (const name of names) {
        await withOne(name, as, async (sql) => {
          const plan = planDatabase(desired, name, await readDatabase(sql, desired, name))
          await applyDatabase(sql, plan, context)
          const grants = planGrants(desired, name, await readDatabase(sql, desired, name))
          await applyDatabase(sql, grants, context)
          changes.push(...plan.changes, ...grants.changes)
        })
      }
      return words(changes)
    },

    async drift(): Promise<string[]> {
      const changes = await withOne('postgres', as, async (sql) => (await cluster(sql)).changes)
      for (const name of names) {
        await withOne(name, as, async (sql) => {
          const current = await readDatabase(sql, desired, name)
          changes.push(...planDatabase(desired, name, current).changes, ...planGrants(desired, name, current).changes)
        })
      }
      return words(changes)
    },

    warnings: (name: string) =>
      withOne(name, as, async (sql) => planGrants(desired, name, await readDatabase(sql, desired, name)).warnings),
  }
}

/** Rows of statements that the superuser runs in a database. */
export const asSuperuser = (database: string, statement: string): Promise<unknown[]> =>
  withOne(database, undefined, async (sql) => [...(await sql.unsafe(statement))])

/** Runs statements as a user over TCP; the error's SQLSTATE instead of rows when one fails. */
export async function asUser(database: string, user: User, statement: string): Promise<unknown> {
  const sql = openOne(database, user)
  try {
    return [...(await sql.unsafe(statement))]
  } catch (error) {
    return (error as { code?: string }).code
  } finally {
    await sql.end({ timeout: 1 })
  }
}
