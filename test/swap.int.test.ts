import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { describe, expect } from 'vitest'
import { type Server, startServer } from '../scripts/server.ts'
import type { Manifest } from '../src/archive/manifest.ts'
import { sealManifest } from '../src/archive/seal.ts'
import { quoteIdent, quoteLiteral } from '../src/sql/quote.ts'
import { client } from './support/backup.ts'
import { type Cluster, full, neverAgain, randomFrom, test, until } from './support/chaos.ts'
import { server, uniqueName } from './support/postgres.ts'
import { backedUp, databases, expectGood, hold, lose, replace, replaceJson, things } from './support/swap.ts'

describe.skipIf(!client)('restore in place of a database', () => {
  test('brings back what was backed up, keeps what was live, and holds pending migrations', async ({
    cluster,
    makeApp,
  }) => {
    const { app, id } = await backedUp(makeApp)
    await lose(cluster, app)
    await app.write({ 'migrations/002_more.sql': 'create table more ();\n' })

    const { code, json, stderr } = await replaceJson(app)
    expect(code, stderr).toBe(0)
    expect(json).toMatchObject({ id, database: app.database, touched: true, differences: [] })
    expect(json.rows_compared).toBeGreaterThanOrEqual(1000)
    const { replaced, backup_before: before } = json as unknown as { replaced: string; backup_before: string }
    expect(replaced).toMatch(new RegExp(`^${app.database.slice(0, 40)}__before_[0-9a-f]{8}$`))
    expect(await things(cluster, app)).toBe(1000)
    expect(await databases(cluster, app)).toEqual([app.database, replaced].sort())
    expect(await cluster.ask('select count(*)::int as count from things', replaced)).toEqual([{ count: 10 }])

    const { json: list } = await app.runJson('backup', 'list')
    expect(list.backups).toMatchObject([
      { id, kind: 'logical', pinned: false },
      { id: before, kind: 'before-restore', pinned: true, verified: true },
    ])
    expect(await hold(cluster, app)).toMatchObject({ backup: id, replaced })

    const refused = await app.runJson('up')
    expect(refused.code).toBe(21)
    expect(refused.json.error?.message).toContain('1 migration is pending: 002_more')
    expect(await cluster.ask(`select to_regclass('more') as more`, app.database)).toEqual([{ more: null }])
    expect((await app.runJson('migrate')).code).toBe(21)
    expect((await app.run('plan')).stdout).toContain('apply migration 002_more')

    // and latest is still the good one
    await lose(cluster, app)
    expect((await replaceJson(app, '--no-backup-first')).json).toMatchObject({
      id,
      backup_before: null,
    })
    expectGood(await app.run('up', '--after-restore'))
    expect(await hold(cluster, app)).toBeNull()
    expect(await cluster.ask(`select to_regclass('more')::text as more`, app.database)).toEqual([{ more: 'more' }])
    expect((await app.run('up')).stdout).toContain('nothing to do')
  })

  test('without pending migrations, up goes on and says that the hold stands; --release ends it', async ({
    cluster,
    makeApp,
  }) => {
    const { app } = await backedUp(makeApp)
    expectGood(await replace(app))
    const { code, json } = await app.runJson('up')
    expect(code).toBe(0)
    expect(json.warnings).toEqual([expect.stringContaining('is held after a restore')])
    expect((await app.run('restore', '--release')).code).toBe(2)
    expectGood(await app.run('restore', '--release', '--yes'))
    expect(await hold(cluster, app)).toBeNull()
    expect((await app.runJson('up')).json.warnings).toEqual([])
    const events = 'select command, phase from pgbosun.events order by id desc limit 2'
    expect(await cluster.ask(events, app.database)).toMatchObject([
      { command: 'restore', phase: 'finished' },
      { command: 'restore', phase: 'started' },
    ])
  })

  test('the new database has owner, privileges, settings, limit and comment of today', async ({ cluster, makeApp }) => {
    const { app } = await backedUp(makeApp)
    const d = quoteIdent(app.database)
    const [owner, late] = [uniqueName('new_owner'), uniqueName('late')]
    await cluster.ask(`create role ${owner}; create role ${late} login;
      alter database ${d} connection limit 17; alter database ${d} set work_mem to '7MB';
      alter role ${late} in database ${d} set statement_timeout to '1min';
      comment on database ${d} is 'it''s ours'; alter database ${d} owner to ${owner};
      grant connect on database ${d} to ${late}`)
    const properties = (name: string) =>
      cluster.ask(
        `select pg_get_userbyid(datdba) as owner, datconnlimit, (select array_agg(a::text order by a::text) from unnest(datacl) a) as acl, shobj_description(d.oid, 'pg_database') as comment,
                (select json_agg(json_build_array(setrole::regrole::text, setconfig) order by setrole) from pg_db_role_setting where setdatabase = d.oid) as settings
           from pg_database d where datname = ${quoteLiteral(name)}`,
      )
    const before = await properties(app.database)
    const { code, json, stderr } = await replaceJson(app)
    expect(code, stderr).toBe(0)
    expect(await properties(app.database)).toEqual(before)
    const said = (json.warnings as string[]).join('\n')
    expect(said).toContain(`owner: ${owner} now`)
    expect(said).toContain('work_mem: only now')
    expect(said).not.toContain('7MB')
  })

  test('nothing is replaced unless its name is given', async ({ cluster, makeApp }) => {
    const { app } = await backedUp(makeApp)
    for (const args of [
      ['latest'],
      ['latest', '--yes'],
      ['latest', '--replace', 'other'],
      ['latest', '--replace', app.database, '--no-owner'],
      ['latest', '--replace', app.database, '--into', 'other'],
      ['latest', '--into', 'other', '--yes', '--drop-slots'],
      ['--rollback'],
      ['--rollback', '--yes'],
      ['--rollback', '--discard', '--yes'],
      ['--release', '--no-owner', '--yes'],
      ['--discard'],
    ]) {
      const { code, json } = await app.runJson('restore', ...args)
      expect(code, args.join(' ')).toBe(2)
      expect(json.error?.hint, args.join(' ')).toBeTruthy()
    }
    expect(await databases(cluster, app)).toEqual([app.database])
  })

  test('a backup of another server needs --cluster', async ({ cluster, makeApp }) => {
    const { app, id } = await backedUp(makeApp)
    const file = join(app.cwd, 'store', app.database, id, 'manifest.json')
    const { sha256: _, ...manifest } = JSON.parse(readFileSync(file, 'utf8')) as Manifest & { sha256: string }
    writeFileSync(file, sealManifest({ ...manifest, series: { ...manifest.series, system_identifier: '4711' } }))
    for (const which of ['latest', id]) {
      const { code, json } = await app.runJson('restore', which, '--replace', app.database)
      expect(code).toBe(70)
      expect(json.error?.hint).toContain('--cluster 4711')
    }
    expect(await databases(cluster, app)).toEqual([app.database])
    expectGood(await replace(app, '--cluster', '4711'))
  })

  test('whatever forbids it is said at once, with what changes it, and nothing is changed', async ({
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
    const slot = uniqueName('slot')
    const gid = uniqueName('gid')
    await cluster.ask(
      `create subscription s connection 'host=127.0.0.1 port=1 dbname=x' publication p with (connect = false, slot_name = 'there')`,
      app.database,
    )
    await cluster.ask('alter subscription s enable', app.database)
    await cluster.ask(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`, app.database)
    await cluster.ask(`begin; insert into things values (5000); prepare transaction '${gid}'`, app.database)
    await lose(cluster, app)

    const { code, json, stderr } = await replaceJson(app)
    expect(code, stderr).toBe(70)
    const said = `${json.error?.message}\n${stderr}`
    for (const words of ['1 logical replication slot', '1 enabled subscription', '1 prepared transaction'])
      expect((await replace(app)).stderr).toContain(words)
    expect(said).toContain('for 3 reasons')
    expect(await databases(cluster, app)).toEqual([app.database])
    expect(await things(cluster, app)).toBe(10)

    await cluster.ask(`rollback prepared '${gid}'`, app.database)
    const allowed = await replaceJson(app, '--drop-slots', '--disable-subscriptions')
    expect(allowed.code, allowed.stderr).toBe(0)
    expect(await things(cluster, app)).toBe(1000)
    expect(await cluster.ask(`select from pg_replication_slots where slot_name = '${slot}'`)).toEqual([])
    expect(
      await cluster.ask(
        `select subenabled from pg_subscription join pg_database d on d.oid = subdbid where starts_with(datname, ${quoteLiteral(app.database.slice(0, 30))})`,
      ),
    ).toEqual([{ subenabled: false }])
    expectGood(await app.run('restore', '--discard', '--yes'))
    expect(await databases(cluster, app)).toEqual([app.database])
  })

  test('lock.database is never replaced', async ({ makeApp }) => {
    const { app } = await backedUp(makeApp)
    const given = JSON.parse(readFileSync(join(app.cwd, 'pgbosun.yaml'), 'utf8'))
    await app.write({ 'pgbosun.yaml': JSON.stringify({ ...given, lock: { database: app.database } }) })
    const { code, json } = await replaceJson(app)
    expect(code).toBe(70)
    expect(json.error?.message).toContain('is lock.database')
  })

  test('a backup of the present state that fails stops it, before anything is changed', async ({
    cluster,
    makeApp,
  }) => {
    const { app } = await backedUp(makeApp)
    await lose(cluster, app)
    const user = uniqueName('weak')
    await cluster.ask(`create role ${user} login password 'x'`)
    const url = cluster.url(app.database).replace(/\/\/[^@]*@/, `//${user}:x@`)
    const given = JSON.parse(readFileSync(join(app.cwd, 'pgbosun.yaml'), 'utf8'))
    await app.write({
      url,
      'pgbosun.yaml': JSON.stringify({ ...given, backup: { ...given.backup, url: { file: 'url' } } }),
    })
    const { code, json } = await replaceJson(app)
    expect(code).toBe(70)
    expect(json.error?.message).toContain('could not be backed up')
    expect(json.error?.hint).toContain('--no-backup-first')
    expect(json).toMatchObject({ touched: false })
    expect(await databases(cluster, app)).toEqual([app.database])
    expect(await things(cluster, app)).toBe(10)
    expectGood(await replace(app, '--no-backup-first'))
    expect(await things(cluster, app)).toBe(1000)
  })

  test('an application that reconnects is refused once at most, and a long transaction is ended', async ({
    cluster,
    makeApp,
  }) => {
    const { app } = await backedUp(makeApp)
    await lose(cluster, app)
    const idle = await cluster.hold('delete from things', app.database)
    const stop = new AbortController()
    const clients = Array.from({ length: 4 }, () => reconnecting(cluster, app.database, stop.signal))
    await sleep(300)
    const { code, json, stderr } = await replaceJson(app)
    await sleep(300)
    stop.abort()
    expect(code, stderr).toBe(0)
    expect(json.waited_ms).toBeGreaterThanOrEqual(0)
    for (const seen of await Promise.all(clients)) {
      expect(seen.counts[0]).toBe(10)
      expect(seen.counts.at(-1)).toBe(1000)
      expect(Object.keys(seen.errors).filter((code) => !ended.has(code) && code !== '3D000')).toEqual([])
      expect(seen.errors['3D000'] ?? 0).toBeLessThanOrEqual(1)
    }
    await idle.release()
    expect(await things(cluster, app)).toBe(1000)
  })

  test('--rollback brings back what was replaced, and says what was written since', async ({ cluster, makeApp }) => {
    const { app, id } = await backedUp(makeApp)
    await lose(cluster, app)
    expectGood(await replace(app))
    const [, before] = await databases(cluster, app)
    await cluster.ask(`insert into things select n from generate_series(2001, 2003) n`, app.database)
    await cluster.ask(`update things set text = 'x' where n = 1`, app.database)
    await until('the statistics have arrived', async () => {
      const [row] = await cluster.ask<{ n: number }>(
        "select n_tup_upd::int as n from pg_stat_user_tables where relname = 'things'",
        app.database,
      )
      return row!.n === 1
    })
    const { code, json, stderr } = await app.runJson('restore', '--rollback', '--replace', app.database)
    expect(code, stderr).toBe(0)
    expect(json).toMatchObject({ id, database: app.database, touched: true })
    expect(json.written).toEqual([{ table: 'public.things', inserts: 3, updates: 1, deletes: 0 }])
    expect(await things(cluster, app)).toBe(10)
    const [, after] = await databases(cluster, app)
    expect(after).toMatch(/__after_[0-9a-f]{8}$/)
    expect(after).not.toBe(before)
    expect(await hold(cluster, app)).toBeNull()

    expectGood(await app.run('restore', '--rollback', '--replace', app.database))
    expect(await things(cluster, app)).toBe(1003)
    expect((await app.runJson('restore', '--discard', 'other', '--yes')).code).toBe(2)
    expectGood(await app.run('restore', '--discard', '--yes'))
    expect(await databases(cluster, app)).toEqual([app.database])
    const { json: list } = await app.runJson('backup', 'list')
    expect((list.backups as { pinned: boolean }[]).map(({ pinned }) => pinned)).toEqual([false, false])
    const nothing = await app.runJson('restore', '--rollback', '--replace', app.database)
    expect(nothing.code).toBe(70)
    expect(nothing.json.error?.message).toContain('no restore has replaced')
  })

  test('status and check name what was replaced and the hold, with the commands', async ({ makeApp }) => {
    const { app } = await backedUp(makeApp)
    expectGood(await replace(app))
    for (const command of ['check', 'status']) {
      const { json } = await app.runJson(command)
      const said = (json.warnings as string[]).join('\n')
      expect(said, command).toContain('restore --discard')
      expect(said, command).toContain('restore --release')
    }
  })

  test(`killed at ${full ? 20 : 6} random moments, the old database or the new one is there, and the next run cleans up`, {
    timeout: 240_000,
    ...neverAgain,
  }, async ({ cluster, makeApp }) => {
    const random = randomFrom(20261129)
    const { app } = await backedUp(makeApp)
    await lose(cluster, app)
    const startedAt = performance.now()
    expectGood(await replace(app, '--no-backup-first'))
    const wholeMs = performance.now() - startedAt
    for (let i = 0; i < (full ? 20 : 6); i++) {
      await lose(cluster, app)
      const started = app.start('restore', 'latest', '--replace', app.database, '--no-backup-first')
      await sleep(wholeMs * (0.4 + random() * 0.7))
      started.child.kill('SIGKILL')
      await started.finished
      await until('its sessions are gone', async () => {
        const rows = await cluster.ask(
          "select from pg_stat_activity where application_name like 'pgbosun%' and pid <> pg_backend_pid()",
        )
        return rows.length === 0
      })
      expect([10, 1000]).toContain(await things(cluster, app))
    }
    expectGood(await replace(app))
    expect(await things(cluster, app)).toBe(1000)
    expect((await databases(cluster, app)).filter((name) => name.includes('__restore_'))).toEqual([])
    expect(await cluster.ask("select rolname from pg_roles where rolname ~ '^pgbosun_restore_'")).toEqual([])
    expectGood(await app.run('restore', '--discard', '--yes'))
    expect(await databases(cluster, app)).toEqual([app.database])
  })

  test('a server that crashes at the exchange has the old database or the new one', {
    timeout: 120_000,
    ...neverAgain,
  }, async ({ cluster, makeApp }) => {
    const { app } = await backedUp(makeApp)
    for (let i = 0; i < 3; i++) {
      await lose(cluster, app)
      const started = app.start('restore', 'latest', '--replace', app.database, '--no-backup-first')
      await until('it renames', async () => {
        if (started.child.exitCode !== null) return true
        const rows = await cluster
          .ask(
            "select from pg_stat_activity where query ~ '^(alter|comment on) database|^commit' and datname = 'postgres'",
          )
          .catch(() => [])
        return rows.length > 0
      })
      await cluster.stop('immediate')
      await cluster.start()
      const { code, stderr } = await started.finished
      const count = await things(cluster, app)
      expect([10, 1000]).toContain(count)
      if (code === 0) expect(count, stderr).toBe(1000)
      else expect([10, 70], stderr).toContain(code)
    }
  })
})

const ended = new Set(['57P01', 'CONNECTION_CLOSED', 'ECONNRESET', 'CONNECTION_DESTROYED', 'CONNECTION_ENDED'])

/** What an application sees that opens a connection, asks, and starts again. */
async function reconnecting(cluster: Cluster, database: string, signal: AbortSignal) {
  const seen: { counts: number[]; errors: Record<string, number> } = { counts: [], errors: {} }
  while (!signal.aborted) {
    const sql = postgres(cluster.url(database), {
      max: 1,
      fetch_types: false,
      prepare: false,
      no_subscribe: true,
    } as unknown as postgres.Options<Record<string, never>>)
    try {
      const [row] = await sql`select count(*)::int as count from things`
      seen.counts.push(row!.count)
    } catch (error) {
      const { code = String(error) } = error as { code?: string }
      seen.errors[code] = (seen.errors[code] ?? 0) + 1
    } finally {
      await sql.end({ timeout: 0 })
    }
  }
  return seen
}

describe.skipIf(!client)('with a standby', () => {
  test('a swap needs --standbys-reconnect, and who reads there is told', { timeout: 120_000 }, async ({ dir }) => {
    const settings = ['fsync=off']
    const primary = await startServer(server().binDir, { settings })
    let standby: Server | undefined
    try {
      await primary.stop()
      standby = await startServer(server().binDir, { settings, standbyOf: primary })
      await primary.start()
      const app = { cwd: dir, database: uniqueName('app') }
      const env = { DATABASE_URL: primary.url(app.database), PATH: process.env.PATH ?? '' }
      writeFileSync(
        join(dir, 'pgbosun.yaml'),
        JSON.stringify({ databases: { [app.database]: {} }, backup: { store: `file://${dir}/store` } }),
      )
      const { run, runJson } = await import('./support/cli.ts')
      const pgbosun = (...args: string[]) => run(args, { cwd: dir, env })
      expectGood(await pgbosun('up'))
      const sql = postgres(primary.url(app.database), { max: 1, onnotice() {} })
      await sql`create table things as select 1 as n`
      expectGood(await pgbosun('backup'))
      await sql`update things set n = 2`
      await sql.end()
      const reader = postgres(standby.url(app.database), { max: 1, onnotice() {} })
      await until('the standby has it', async () => {
        const rows = await reader`select n from things`.catch(() => [])
        return rows[0]?.n === 2
      })
      await until('the primary knows the standby', async () => {
        const admin = postgres(primary.url('postgres'), { max: 1 })
        const rows = await admin`select from pg_stat_replication`
        await admin.end()
        return rows.length > 0
      })

      const refused = await runJson(['restore', 'latest', '--replace', app.database], { cwd: dir, env })
      expect(refused.code, refused.stderr).toBe(70)
      expect(refused.json.error?.hint).toContain('--standbys-reconnect')
      const { code, stdout, stderr } = await pgbosun(
        'restore',
        'latest',
        '--replace',
        app.database,
        '--standbys-reconnect',
      )
      expect(code, stderr).toBe(0)
      expect(stdout).toContain('restart the pools that read from')
      const late = postgres(standby.url(app.database), { max: 1, onnotice() {} })
      await until('new sessions on the standby read the new one', async () => {
        const rows = await late`select n from things`.catch(() => [])
        return rows[0]?.n === 1
      })
      // which is why a person has to say so
      expect(await reader`select n from things`).toMatchObject([{ n: 2 }])
      await late.end()
      await reader.end()
    } finally {
      await standby?.remove()
      await primary.remove()
    }
  })
})
