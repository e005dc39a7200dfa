import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { quoteLiteral } from '../../src/sql/quote.ts'
import type { App, Cluster } from './chaos.ts'
import type { Finished } from './cli.ts'

export const expectGood = ({ code, stderr }: Finished, context = '') => expect(code, `${context}\n${stderr}`).toBe(0)

/** An application that is up, backed up, and has been changed since; the id of the backup. */
export async function backedUp(
  makeApp: (extra?: object, name?: string) => Promise<App>,
  { more = '', config = {} }: { more?: string; config?: object } = {},
): Promise<{ app: App; id: string }> {
  const app = await makeApp(config)
  const given = JSON.parse(readFileSync(join(app.cwd, 'pgbosun.yaml'), 'utf8'))
  await app.write({
    'pgbosun.yaml': JSON.stringify({ ...given, backup: { store: `file://${app.cwd}/store`, ...given.backup } }),
    'migrations/001_things.sql': `create table things as select n, md5(n::text) as text from generate_series(1, 1000) n;\n${more}`,
  })
  expectGood(await app.run('up'))
  const { code, json, stderr } = await app.runJson('backup')
  expect(code, stderr).toBe(0)
  return { app, id: json.id as string }
}

export const things = async (cluster: Cluster, { database }: App) => {
  const [row] = await cluster.ask<{ count: number }>('select count(*)::int as count from things', database)
  return row!.count
}

export const lose = (cluster: Cluster, { database }: App) => cluster.ask('delete from things where n > 10', database)

export const replace = (app: App, ...more: string[]) => app.run('restore', 'latest', '--replace', app.database, ...more)

export const replaceJson = (app: App, ...more: string[]) =>
  app.runJson('restore', 'latest', '--replace', app.database, ...more)

/** Databases of an application, by name. */
export const databases = async (cluster: Cluster, { database }: App) => {
  const rows = await cluster.ask<{ name: string }>(
    `select datname as name from pg_database where starts_with(datname, ${quoteLiteral(database.slice(0, 30))}) order by 1`,
  )
  return rows.map(({ name }) => name)
}

export const hold = async (cluster: Cluster, { database }: App) => {
  const [row] = await cluster.ask<{ hold: unknown }>('select hold from pgbosun.state', database)
  return row!.hold
}
