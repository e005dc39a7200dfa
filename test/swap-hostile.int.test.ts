import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { quoteIdent, quoteLiteral } from '../src/sql/quote.ts'
import { client } from './support/backup.ts'
import { type App, type Cluster, test } from './support/chaos.ts'
import { uniqueName } from './support/postgres.ts'
import { backedUp, databases, expectGood, hold, lose, replace, replaceJson, things } from './support/swap.ts'

/** From now on, the application's pgbosun connects as this user. */
async function connectAs(cluster: Cluster, app: App, user: string | undefined): Promise<void> {
  const url = cluster.url(app.database)
  const given = JSON.parse(readFileSync(join(app.cwd, 'pgbosun.yaml'), 'utf8'))
  await app.write({
    url: user === undefined ? url : url.replace(/\/\/[^@]*@/, `//${user}:x@`),
    'pgbosun.yaml': JSON.stringify({
      ...given,
      database: { url: { file: 'url' } },
      databases: undefined,
    }),
  })
}

/** A user that may create databases, as which an application is usually made ready. */
async function makeRunner(cluster: Cluster): Promise<string> {
  const user = uniqueName('runner')
  await cluster.ask(`create role ${user} login createdb password 'x'`)
  return user
}

const rollback = (app: App, ...more: string[]) =>
  app.runJson('restore', '--rollback', '--replace', app.database, ...more)

describe.skipIf(!client)('restore in place of a database, by others and against harm', () => {
  test('a superuser restores what another user keeps ready, and that user goes on', async ({ cluster, makeApp }) => {
    const runner = await makeRunner(cluster)
    const { app } = await backedUp(async (extra) => {
      const made = await makeApp(extra)
      await cluster.ask(`create database ${quoteIdent(made.database)} owner ${runner}`)
      await connectAs(cluster, made, runner)
      return made
    })
    await lose(cluster, app)
    await connectAs(cluster, app, undefined)
    const { code, stderr } = await replaceJson(app)
    expect(code, stderr).toBe(0)
    expect(await things(cluster, app)).toBe(1000)
    expect(await hold(cluster, app)).toBeTruthy()
    await connectAs(cluster, app, runner)
    await app.write({ 'migrations/002_more.sql': 'create table more ();\n' })
    expect((await app.run('up')).code).toBe(21)
    expectGood(await app.run('up', '--after-restore'))
    expect(await hold(cluster, app)).toBeNull()
  })

  test('a superuser restores what has no state, and another user makes it ready', async ({ cluster, makeApp }) => {
    const runner = await makeRunner(cluster)
    const app = await makeApp()
    const given = JSON.parse(readFileSync(join(app.cwd, 'pgbosun.yaml'), 'utf8'))
    await app.write({
      'pgbosun.yaml': JSON.stringify({ ...given, databases: undefined, backup: { store: `file://${app.cwd}/store` } }),
    })
    await cluster.ask(`create database ${quoteIdent(app.database)} owner ${runner}`)
    await cluster.ask('create table things as select n from generate_series(1, 1000) n', app.database)
    expectGood(await app.run('backup'))
    expectGood(await replace(app))
    await connectAs(cluster, app, runner)
    await app.write({ 'migrations/001_more.sql': 'create table more ();\n' })
    const { code, stderr } = await app.run('up', '--after-restore')
    expect(code, stderr).toBe(0)
  })

  test('a database without a state is held too, where its owner restores it', async ({ cluster, makeApp }) => {
    const app = await makeApp()
    const given = JSON.parse(readFileSync(join(app.cwd, 'pgbosun.yaml'), 'utf8'))
    await app.write({
      'pgbosun.yaml': JSON.stringify({ ...given, databases: undefined, backup: { store: `file://${app.cwd}/store` } }),
    })
    await cluster.ask(`create database ${quoteIdent(app.database)}`)
    await cluster.ask('create table things as select n from generate_series(1, 1000) n', app.database)
    expectGood(await app.run('backup'))
    expectGood(await replace(app))
    await app.write({ 'migrations/001_more.sql': 'create table more ();\n' })
    expect((await app.run('up')).code).toBe(21)
    expectGood(await app.run('up', '--after-restore'))
    expect(await hold(cluster, app)).toBeNull()
  })

  test('a user that may create databases restores its own', async ({ cluster, makeApp }) => {
    const runner = await makeRunner(cluster)
    const { app } = await backedUp(async (extra) => {
      const made = await makeApp(extra)
      await cluster.ask(`create database ${quoteIdent(made.database)} owner ${runner}`)
      await connectAs(cluster, made, runner)
      return made
    })
    await lose(cluster, app)
    const { code, stderr } = await replaceJson(app)
    expect(code, stderr).toBe(0)
    expect(await things(cluster, app)).toBe(1000)
    const back = await rollback(app)
    expect(back.code, back.stderr).toBe(0)
    expect(await things(cluster, app)).toBe(10)
    expectGood(await app.run('restore', '--discard', '--yes'))
    expect(await databases(cluster, app)).toEqual([app.database])
  })

  test('a database of somebody else is no replaced database, whatever its name and comment', async ({
    cluster,
    makeApp,
  }) => {
    const { app, id } = await backedUp(makeApp)
    await lose(cluster, app)
    const evil = uniqueName('evil')
    const name = `${app.database.slice(0, 40)}__before_12345678`
    const story = {
      pgbosun: 'replaced',
      kind: 'before',
      id: '12345678',
      of: app.database,
      replaced_at: '2999-01-01T00:00:00.000Z',
      backup: id,
      run: 'x',
      backed_up: id,
      comment: null,
    }
    await cluster.ask(`create role ${evil} createdb`)
    await cluster.ask(`create database ${quoteIdent(name)} owner ${evil}`)
    await cluster.ask(`comment on database ${quoteIdent(name)} is ${quoteLiteral(JSON.stringify(story))}`)
    const { code, json } = await rollback(app)
    expect(code).toBe(70)
    expect(json.error?.message).toContain('no restore has replaced')
    expect(await databases(cluster, app)).toEqual([app.database, name].sort())
    expectGood(await app.run('restore', '--discard', '--yes'))
    expect(await databases(cluster, app)).toEqual([app.database, name].sort())
    for (const [field, wrong] of Object.entries({ replaced_at: 'x\u001b[2J', comment: 7, backed_up: 7, backup: 7 })) {
      const bad = JSON.stringify({ ...story, [field]: wrong })
      await cluster.ask(
        `alter database ${quoteIdent(name)} owner to postgres; comment on database ${quoteIdent(name)} is ${quoteLiteral(bad)}`.replace(
          /owner to postgres/,
          'owner to current_user',
        ),
      )
      expect((await rollback(app)).json.error?.message, field).toContain('no restore has replaced')
    }
  })

  test('--discard removes only the pin of a backup that a restore made', async ({ cluster, makeApp }) => {
    const { app, id } = await backedUp(makeApp)
    await app.write({ [`store/${app.database}/${id}/pin-0badcafe.json`]: '{"pinned_at":"2026-01-01T00:00:00.000Z"}\n' })
    await lose(cluster, app)
    expectGood(await replace(app))
    const [, before] = await databases(cluster, app)
    const [row] = await cluster.ask<{ comment: string }>(
      `select shobj_description(oid, 'pg_database') as comment from pg_database where datname = ${quoteLiteral(before!)}`,
    )
    const forged = JSON.stringify({ ...JSON.parse(row!.comment), backed_up: id })
    await cluster.ask(`comment on database ${quoteIdent(before!)} is ${quoteLiteral(forged)}`)
    expectGood(await app.run('restore', '--discard', '--yes'))
    const { json } = await app.runJson('backup', 'list')
    expect((json.backups as { id: string; pinned: boolean }[]).find((one) => one.id === id)?.pinned).toBe(true)
  })

  test('--rollback does what it was allowed: slots are dropped, subscriptions disabled', async ({
    cluster,
    makeApp,
  }) => {
    for (const setting of ['wal_level = logical', 'max_prepared_transactions = 5'])
      await cluster.ask(`alter system set ${setting}`)
    await cluster.stop('fast')
    await cluster.start()
    const { app } = await backedUp(makeApp, {
      more: "create publication p for table things with (publish = 'insert');",
    })
    await lose(cluster, app)
    expectGood(await replace(app))
    const slot = uniqueName('slot')
    await cluster.ask(
      `create subscription s connection 'host=127.0.0.1 port=1 dbname=x' publication p with (connect = false, slot_name = 'there')`,
      app.database,
    )
    await cluster.ask('alter subscription s enable', app.database)
    await cluster.ask(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`, app.database)
    const refused = await rollback(app)
    expect(refused.code).toBe(70)
    expect(refused.json).toMatchObject({ database: app.database, touched: false, rows_compared: 0, differences: [] })
    const { code, stderr } = await rollback(app, '--drop-slots', '--disable-subscriptions')
    expect(code, stderr).toBe(0)
    expect(await things(cluster, app)).toBe(10)
    expect(await cluster.ask(`select from pg_replication_slots where slot_name = '${slot}'`)).toEqual([])
    expect(
      await cluster.ask(
        `select subenabled from pg_subscription join pg_database d on d.oid = subdbid where starts_with(datname, ${quoteLiteral(app.database.slice(0, 30))})`,
      ),
    ).toEqual([{ subenabled: false }])

    // what comes back must be free to be renamed, and nobody is disconnected to find that out
    const [, after] = await databases(cluster, app)
    const gid = uniqueName('gid')
    await cluster.ask(`begin; insert into things values (5000); prepare transaction '${gid}'`, after)
    const reader = await cluster.hold('select from things', app.database)
    const second = await rollback(app)
    expect(second.code).toBe(70)
    expect(second.json.error?.message).toContain('1 prepared transaction')
    expect(await cluster.ask(`select from pg_stat_activity where pid = ${reader.pid}`)).toHaveLength(1)
    await reader.release()
    const discarded = await app.runJson('restore', '--discard', '--yes')
    expect(discarded.code).toBe(70)
    expect(discarded.json.error?.message).toContain('1 prepared transaction')
    expect(discarded.json).toMatchObject({ database: app.database, touched: false, discarded: [] })
    await cluster.ask(`rollback prepared '${gid}'`, after)
    expectGood(await app.run('restore', '--discard', '--yes'))
    expect(await databases(cluster, app)).toEqual([app.database])
  })
})
