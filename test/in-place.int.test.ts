import { describe, expect } from 'vitest'
import { client } from './support/backup.ts'
import { test } from './support/chaos.ts'
import { backedUp, databases, expectGood, hold, lose, things } from './support/swap.ts'

const oidOf = (database: string) => `select oid::int as oid from pg_database where datname = '${database}'`

describe.skipIf(!client)('restore --in-place', () => {
  test('brings back what was backed up, into the same database, and holds pending migrations', async ({
    cluster,
    makeApp,
  }) => {
    const { app, id } = await backedUp(makeApp)
    await lose(cluster, app)
    await cluster.ask('create table later (n int references things_key)'.replace(' references things_key', ''), app.database)
    await app.write({ 'migrations/002_more.sql': 'create table more ();\n' })
    const before = await cluster.ask(oidOf(app.database))

    const { code, json, stderr } = await app.runJson('restore', 'latest', '--in-place', '--replace', app.database)
    expect(code, stderr).toBe(0)
    expect(json).toMatchObject({ id, database: app.database, touched: true, differences: [] })
    expect(await cluster.ask(oidOf(app.database))).toEqual(before)
    expect(await things(cluster, app)).toBe(1000)
    expect(await cluster.ask(`select to_regclass('later') as later`, app.database)).toEqual([{ later: null }])
    expect(await databases(cluster, app)).toEqual([app.database])
    expect(await hold(cluster, app)).toMatchObject({ backup: id, replaced: null })
    expect(await cluster.ask(`select rolname from pg_roles where rolname ~ '^pgbosun_restore'`)).toEqual([])
    expect(
      await cluster.ask(`select nspname from pg_namespace where nspname ~ '^pgbosun_'`, app.database),
    ).toEqual([])
    expect((await app.runJson('up')).code).toBe(21)
    expectGood(await app.run('up', '--after-restore'))
    expect((await app.run('up')).stdout).toContain('nothing to do')
  })
})
