import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { client } from './support/backup.ts'
import { type App, test, until } from './support/chaos.ts'
import { server } from './support/postgres.ts'
import { backedUp, databases, expectGood, lose, replace } from './support/swap.ts'

const wanted = async (more: object) => ({
  config: {
    serve: { listen: `127.0.0.1:${await freePort()}` },
    backup: { keepBefore: { drop: '1s' }, ...more },
  },
})

const served = async (app: App, line: string) => {
  await sleep(1_200) // as old as it has to be
  const { log, child, finished } = app.start('serve')
  await until(line, () => log().includes(line) || undefined)
  child.kill('SIGTERM')
  await finished
  return log()
}

const kept = 'what a restore has replaced is not dropped yet'
const dropped = 'dropped what a restore had replaced'

describe.skipIf(!client)('with backup.keepBefore.drop, serve', () => {
  test('drops what a restore replaced once nothing speaks against it', async ({ cluster, makeApp }) => {
    const { app } = await backedUp(makeApp, await wanted({}))
    await lose(cluster, app)
    expectGood(await replace(app))
    expect(await databases(cluster, app)).toHaveLength(2)
    // counted late by servers of these versions, so it is not certain that nothing was written
    if (server().major < 15) return void expect(await served(app, kept)).toContain('not certain')
    await served(app, dropped)
    expect(await databases(cluster, app)).toEqual([app.database])
    const { json } = await app.runJson('backup', 'list')
    expect(json.backups).toMatchObject([{ kind: 'logical' }, { kind: 'before-restore', pinned: false }])
  })

  test('drops it although somebody has read it', async ({ cluster, makeApp, skip }) => {
    if (server().major < 15) skip('NOT RUN: reading what was replaced: the statistics of this server come late')
    const { app } = await backedUp(makeApp, await wanted({}))
    expectGood(await replace(app))
    const [, before] = await databases(cluster, app)
    expect(await cluster.ask('select count(*)::int as n from things', before)).toEqual([{ n: 1000 }])
    await served(app, dropped)
    expect(await databases(cluster, app)).toEqual([app.database])
  })

  test.for<[string, string, (world: { ask(sql: string): Promise<unknown>; app: App }) => Promise<unknown>]>([
    ['has been written to', 'nothing was written', ({ ask }) => ask('update things set text = 1 where n = 1')],
    [
      'has a subscription, even one that is disabled',
      'it has a subscription',
      ({ ask }) => ask("create subscription s connection 'host=nowhere' publication p with (connect = false)"),
    ],
  ])('keeps what %s, and says why', async ([, reason, change], { cluster, makeApp }) => {
    const { app } = await backedUp(makeApp, await wanted({}))
    expectGood(await replace(app))
    const [, before] = await databases(cluster, app)
    await change({ app, ask: (sql) => cluster.ask(sql, before) })
    expect(await served(app, kept)).toContain(reason)
    expect(await databases(cluster, app)).toContain(before)
    await cluster.ask('alter subscription s set (slot_name = none); drop subscription s', before).catch(() => {})
  })

  test('keeps what has no backup of its own, and what a rollback set aside', async ({ cluster, makeApp }) => {
    const { app } = await backedUp(makeApp, await wanted({}))
    expectGood(await replace(app, '--no-backup-first'))
    expect(await served(app, kept)).toContain('no backup was made of it before it was replaced')
    expectGood(await app.run('restore', '--rollback', '--replace', app.database))
    expect(await served(app, kept)).toContain('a rollback set it aside')
    expect(await databases(cluster, app)).toHaveLength(2)
  })

  test('keeps everything for as long as it says', async ({ cluster, makeApp }) => {
    const { app } = await backedUp(makeApp, await wanted({ keepBefore: { drop: '7d' } }))
    expectGood(await replace(app))
    expect(await served(app, kept)).toMatch(/it is kept until 2\d{3}-/)
    expect(await databases(cluster, app)).toHaveLength(2)
  })
})
