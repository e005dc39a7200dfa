import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { quoteIdent, quoteLiteral } from '../src/sql/quote.ts'
import { client } from './support/backup.ts'
import { type App, type Cluster, test, until } from './support/chaos.ts'
import { server, uniqueName } from './support/postgres.ts'
import { backedUp, databases, expectGood, lose, replace, replaceJson, things } from './support/swap.ts'

/** From now on, the application's pgbosun connects as this user, whose password is x. */
async function connectAs(cluster: Cluster, app: App, user: string): Promise<void> {
  const given = JSON.parse(readFileSync(join(app.cwd, 'pgbosun.yaml'), 'utf8'))
  await app.write({
    url: cluster.url(app.database).replace(/\/\/[^@]*@/, `//${user}:x@`),
    'pgbosun.yaml': JSON.stringify({ ...given, database: { url: { file: 'url' } }, databases: undefined }),
  })
}

/** An application whose database belongs to a user that may create databases, and is used as that user. */
const ownedBy = (cluster: Cluster, makeApp: (extra?: object, name?: string) => Promise<App>, user: string) =>
  backedUp(async (extra) => {
    const made = await makeApp(extra)
    await cluster.ask(`create database ${quoteIdent(made.database)} owner ${user}`)
    await connectAs(cluster, made, user)
    return made
  })

const enabled = async (cluster: Cluster, database: string) => {
  const rows = await cluster.ask<{ name: string; enabled: boolean }>(
    `select subname as name, subenabled as enabled from pg_subscription s join pg_database d on d.oid = s.subdbid where d.datname = ${quoteLiteral(database)} order by 1`,
  )
  return rows.map((row) => [row.name, row.enabled])
}

describe.skipIf(!client)('a swap', () => {
  test('killed after it disabled subscriptions leaves a note, by which the next run enables them', {
    timeout: 240_000,
  }, async ({ cluster, makeApp }) => {
    const { app } = await backedUp(makeApp)
    await lose(cluster, app)
    await cluster.ask(
      `create subscription one connection 'host=127.0.0.1 port=1 dbname=x' publication p with (connect = false, slot_name = 'there');
       create subscription "Two" connection 'host=127.0.0.1 port=1 dbname=x' publication p with (connect = false, slot_name = 'over');
       create subscription off connection 'host=127.0.0.1 port=1 dbname=x' publication p with (connect = false, slot_name = 'off');
       alter subscription one enable; alter subscription "Two" enable`,
      app.database,
    )
    const before = [
      ['Two', true],
      ['off', false],
      ['one', true],
    ]
    expect(await enabled(cluster, app.database)).toEqual(before)
    const started = app.start(
      ...['restore', 'latest', '--replace', app.database, '--disable-subscriptions', '--no-backup-first'],
    )
    await until('the copy is there', async () => {
      const rows = await cluster.ask(
        `select from pg_database d join pg_roles r on r.oid = d.datdba where datname ~ '__restore_' and rolname ~ '^pgbosun_restore'`,
      )
      return rows.length > 0
    })
    // from here on, only the exchange writes into this catalog
    const busy = await cluster.hold('lock table pg_catalog.pg_database in share mode')
    await until('they are disabled', async () => (await enabled(cluster, app.database)).every(([, on]) => !on))
    started.child.kill('SIGKILL')
    await started.finished
    await busy.release()
    expect(await things(cluster, app)).toBe(10)

    const { json } = await app.runJson('check')
    const said = (json.warnings as string[]).join('\n')
    expect(said).toContain(`It left subscriptions of ${app.database} disabled: the next restore enables them again`)
    expect(said).toContain('alter subscription "Two" enable')

    // which refuses, as they are enabled again
    const { code, json: refused } = await replaceJson(app)
    expect(code).toBe(70)
    expect(refused.error?.message).toContain('2 enabled subscriptions')
    expect(await enabled(cluster, app.database)).toEqual(before)
    expect(await databases(cluster, app)).toEqual([app.database])

    // a rollback enables again what the swap disabled, and nothing else
    expectGood(await replace(app, '--disable-subscriptions', '--no-backup-first'))
    expect(await enabled(cluster, app.database)).toEqual([])
    expectGood(await app.run('restore', '--rollback', '--replace', app.database))
    expect(await enabled(cluster, app.database)).toEqual(before)
  })

  test('of a template, or of what accepts no connections, is refused with the statement', async ({
    cluster,
    makeApp,
  }) => {
    const { app } = await backedUp(makeApp)
    const database = quoteIdent(app.database)
    await cluster.ask(`alter database ${database} is_template true`)
    const template = await replaceJson(app)
    expect([template.code, template.json.error?.message]).toEqual([70, expect.stringContaining('is a template')])
    expect(template.json.error?.hint).toContain('is_template false')
    await cluster.ask(`alter database ${database} is_template false allow_connections false`)
    const closed = await replaceJson(app)
    expect([closed.code, closed.json.error?.message]).toEqual([
      70,
      expect.stringContaining('accepts no connections; nothing was changed'),
    ])
    const inPlace = await replaceJson(app, '--in-place')
    expect([inPlace.code, inPlace.json.error?.message]).toEqual([70, expect.stringContaining('accepts no connections')])
    await cluster.ask(`alter database ${database} allow_connections true`)
    expect(await databases(cluster, app)).toEqual([app.database])
  })

  test('by a user who may not set what others have in the database is refused before anything is loaded', async ({
    cluster,
    makeApp,
  }) => {
    const [runner, other] = [uniqueName('runner'), uniqueName('other')]
    await cluster.ask(`create role ${runner} login createdb password 'x'; create role ${other}`)
    const { app } = await ownedBy(cluster, makeApp, runner)
    await lose(cluster, app)
    const database = quoteIdent(app.database)
    await cluster.ask(
      `alter role ${other} in database ${database} set work_mem = '5MB'; alter role ${runner} in database ${database} set work_mem = '6MB';
       alter database ${database} set log_min_duration_statement = '1s'; alter database ${database} set "app.tenant" = 'x'`,
    )
    const { code, json } = await replaceJson(app, '--no-backup-first')
    expect(code).toBe(12)
    expect(json.error?.message).toContain(
      `may not make 3 settings of ${app.database} for the new one: app.tenant, log_min_duration_statement, work_mem of ${other}; nothing was changed`,
    )
    expect(json.error?.hint).toContain(`alter role "${other}" in database "${app.database}" reset "work_mem"`)
    expect(await things(cluster, app)).toBe(10)
    await cluster.ask(
      `alter role ${other} in database ${database} reset work_mem; alter database ${database} reset log_min_duration_statement; alter database ${database} reset "app.tenant"`,
    )
    expectGood(await replace(app, '--no-backup-first'))
    expect(await things(cluster, app)).toBe(1000)
  })

  test('says first what it replaces: its size, its sessions and its newest backup', async ({ cluster, makeApp }) => {
    const { app, id } = await backedUp(makeApp)
    const reader = await cluster.hold('select 1', app.database)
    const { code, stdout, stderr } = await replace(app, '--no-backup-first')
    await reader.release()
    expect(code, stderr).toBe(0)
    const what = new RegExp(
      `${app.database} has [\\d.]+ MB and 1 session now; its newest backup is ${id}, taken .* ago`,
    )
    expect(stdout.split('\n').find((line) => line.startsWith('swap'))).toMatch(what)
    expect(stderr).toMatch(what)
  })
})

describe.skipIf(!client)('what is there', () => {
  test('a database of a stranger is not shown as ours, whatever its name and comment', async ({ cluster, makeApp }) => {
    const { app, id } = await backedUp(makeApp)
    const evil = uniqueName('evil')
    await cluster.ask(`create role ${evil} createdb`)
    const of = app.database
    const common = { id: '12345678', backup: id, run: 'x' }
    const forged = {
      [`${of.slice(0, 40)}__before_12345678`]: {
        ...{ ...common, pgbosun: 'replaced', kind: 'before', of, comment: null },
        ...{ replaced_at: '2026-01-01T00:00:00.000Z', backed_up: null },
      },
      [`${of.slice(0, 40)}__restore_12345678`]: {
        ...{ ...common, pgbosun: 'restore', into: of, database: of, started_at: '2026-01-01T00:00:00.000Z' },
      },
    }
    for (const [name, story] of Object.entries(forged)) {
      await cluster.ask(`create database ${quoteIdent(name)} owner ${evil}`)
      await cluster.ask(`comment on database ${quoteIdent(name)} is ${quoteLiteral(JSON.stringify(story))}`)
    }
    const shown = async () => {
      const { json } = await app.runJson('check')
      return (json.leftovers as { database: string }[])
        .map(({ database }) => database)
        .filter((name) => name.startsWith(of))
    }
    expect(await shown()).toEqual([])
    for (const name of Object.keys(forged))
      await cluster.ask(`alter database ${quoteIdent(name)} owner to current_user`)
    expect(await shown()).toEqual(Object.keys(forged))
  })

  test.skipIf(server().major < 16)(
    'a restore by a member that does not inherit from the owner is refused before anything is loaded',
    async ({ cluster, makeApp }) => {
      const [runner, owner] = [uniqueName('runner'), uniqueName('owner')]
      await cluster.ask(
        `create role ${runner} login createdb createrole password 'x'; create role ${owner}; grant ${owner} to ${runner} with inherit false, set true`,
      )
      const app = await makeApp()
      const given = JSON.parse(readFileSync(join(app.cwd, 'pgbosun.yaml'), 'utf8'))
      const config = { ...given, databases: undefined, backup: { store: `file://${app.cwd}/store` } }
      await app.write({ 'pgbosun.yaml': JSON.stringify(config) })
      await cluster.ask(`create database ${quoteIdent(app.database)} owner ${owner}`)
      await cluster.ask(`create table things (n int); alter table things owner to ${owner}`, app.database)
      expectGood(await app.run('backup'))
      await connectAs(cluster, app, runner)
      const into = uniqueName('copy')
      const { code, json } = await app.runJson('restore', '--into', into, '--yes')
      expect(code).toBe(12)
      expect(json.error?.message).toContain('does not inherit from it; nothing was changed')
      expect(json.error?.hint).toContain('with inherit true')
      await cluster.ask(`grant ${owner} to ${runner} with inherit true`)
      expectGood(await app.run('restore', '--into', into, '--yes'))
    },
  )
})
