import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { loadConfig } from '../src/config/load.ts'
import { resolveConnection } from '../src/config/resolve.ts'
import { silentLog } from '../src/log.ts'
import type { Label } from '../src/restore/name.ts'
import type { Replaced } from '../src/restore/swap/story.ts'
import { quoteIdent, quoteLiteral } from '../src/sql/quote.ts'
import { databasesNow } from '../src/up/backup-databases.ts'
import { test as base, client } from './support/backup.ts'
import { open, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

/** Databases that begin with a prefix of the test's own, as the server is shared. */
const test = base.extend<{ many: { prefix: string; create(name: string, comment?: object): Promise<string> } }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  many: async ({}, use) => {
    const admin = open('postgres')
    const prefix = uniqueName('many')
    await use({
      prefix,
      async create(name, comment) {
        await admin.unsafe(`create database ${quoteIdent(prefix + name)}`)
        if (comment)
          await admin.unsafe(
            `comment on database ${quoteIdent(prefix + name)} is ${quoteLiteral(JSON.stringify(comment))}`,
          )
        return prefix + name
      },
    })
    await admin.end()
  },
})

const replaced: Replaced = {
  ...{ pgbosun: 'replaced', kind: 'before', id: '0123abcd', of: 'shop', replaced_at: '2026-03-01T04:00:00.000Z' },
  ...{ backup: 'b', run: 'r', backed_up: null, comment: null },
}
const restoring: Label = {
  ...{ pgbosun: 'restore', id: '0123abcd', into: 'shop', backup: 'b', database: 'shop', run: 'r' },
  started_at: '2026-03-01T04:00:00Z',
}

const sql = async (statement: string) => {
  const admin = open('postgres')
  await admin.unsafe(statement).finally(() => admin.end())
}

describe.skipIf(!client)('a pattern in backup.databases', () => {
  test('means every database that it matches, but no template, none that is closed, and none with a story of ours', {
    timeout: 120_000,
  }, async ({ many, configured }) => {
    const { prefix, create } = many
    const wanted = [await create('-Shop.2 "q" $1'), await create('_größe*'), await create('__before_0123abcd')]
    await create('_kept', replaced)
    await create('__restore_0123abcd', restoring)
    const closed = await create('_closed')
    const template = await create('_template')
    await sql(`alter database "${closed}" allow_connections false`)
    await sql(`alter database "${template}" is_template true`)
    try {
      const pgbosun = await configured({ backup: { databases: [`${prefix}*`, `${prefix}_nosuch?`] } })
      const { code, json, stderr } = await pgbosun.runJson('backup')
      expect(code, stderr).toBe(0)
      const backups = json.backups as { database: string }[]
      expect(backups.map(({ database }) => database)).toEqual([...wanted].sort())
      expect(json.warnings).toEqual([
        expect.stringContaining(`${closed} is not backed up: it accepts no connections`),
        `${prefix}_nosuch? in backup.databases matches no database that can be backed up`,
      ])

      const one = await pgbosun.runJson('backup', '--database', `${prefix}_größe*`)
      expect(one.json.backups).toEqual([expect.objectContaining({ database: `${prefix}_größe*` })])
      for (const [name, why] of [
        [`${prefix}_kept`, 'keeps it after a restore'],
        [template, 'it is a template'],
      ] as const) {
        const refused = await pgbosun.runJson('backup', '--database', name)
        expect([refused.code, refused.json.error?.message]).toEqual([60, expect.stringContaining(why)])
      }
      const misspelt = await pgbosun.run('backup', '--database', 'elsewhere')
      expect([misspelt.code, misspelt.stderr]).toEqual([2, expect.stringContaining('--database elsewhere')])

      const verified = await pgbosun.runJson('backup', 'verify')
      expect((verified.json.results as { database: string }[]).map(({ database }) => database)).toEqual(
        [...wanted].sort(),
      )
    } finally {
      await sql(`alter database "${template}" is_template false`)
    }
  })

  test('that means nothing at all is exit 60, and a name beside it that fails stops no other', async ({
    many,
    configured,
  }) => {
    const { prefix, create } = many
    const nothing = await configured({ backup: { databases: [`${prefix}*`] } })
    const none = await nothing.runJson('backup')
    expect([none.code, none.json.error?.message]).toEqual([
      60,
      `nothing is to be backed up: ${prefix}* in backup.databases means no database`,
    ])
    const there = await create('_there')
    const { code, json } = await (
      await configured({ backup: { databases: [`${prefix}_gone`, `${prefix}*`] } })
    ).runJson('backup')
    expect([code, json.error?.message]).toEqual([60, expect.stringContaining('1 of 2 backups failed')])
    expect(json.backups).toEqual([expect.objectContaining({ database: there })])
  })

  test('keeps nobody waiting where the server does not say which databases it has', async ({ dir, configured }) => {
    await configured({ backup: { databases: ['no_such_*'] } })
    const loaded = await loadConfig({ env: { DATABASE_URL: urlOf('postgres') }, cwd: join(dir, 'work1') })
    const connection = () => resolveConnection(loaded.config, loaded.env, loaded.baseDir)
    const { signal } = new AbortController()
    const asking = { loaded, connection, command: 'test', runId: 'test', log: silentLog, signal }
    const admin = open('postgres')
    await admin.begin(async (held) => {
      await held.unsafe('lock table pg_shdescription')
      await expect(databasesNow(asking, 500)).rejects.toMatchObject({ name: 'AppError', kind: 'unreachable' })
    })
    await admin.end()
  })

  test('is judged by check: a new database is not overdue yet, one that is gone has ended, and what is unknown is said', {
    timeout: 120_000,
  }, async ({ many, configured, database, dir, sql: sqlOfTarget }) => {
    const { prefix, create } = many
    const [stays, goes] = [await create('_stays'), await create('_goes')]
    const schedules = [
      { name: 'often', schedule: '* * * * *' },
      { name: 'yearly', schedule: '0 3 1 1 *' },
    ]
    const backup = { databases: [database, `${prefix}*`], schedules }
    const pgbosun = await configured({ backup })
    await writeFiles(dir, Object.fromEntries([1, 2].map((i) => [`work${i}/migrations/001_a.sql`, 'create table a ()'])))
    expect((await pgbosun.run('up')).code).toBe(0)
    // the target is years old, and the others may be new: nothing of them was due on 1 January
    expect((await pgbosun.run('backup', '--schedule', 'yearly', '--database', database)).code).toBe(0)
    await sqlOfTarget.unsafe(
      `update pgbosun.events set at = at - interval '3 years'; update pgbosun.migrations set applied_at = applied_at - interval '3 years'`,
    )
    expect((await pgbosun.run('backup')).code).toBe(0)
    await sql(`drop database "${goes}"`)
    const met = await create('_met')
    const { code, json, stderr } = await pgbosun.runJson('check')
    expect(code, stderr).toBe(0)
    const entries = (json.backups as { databases: object[] }).databases
    expect(entries).toEqual([
      expect.objectContaining({ database, ok: true }),
      expect.objectContaining({ database: met, ok: null, problem: null, last_id: null }),
      expect.objectContaining({ database: stays, ok: true }),
      expect.objectContaining({ database: goes, ok: true, next_run_at: null, ended: true }),
    ])
    expect(entries[2]).not.toHaveProperty('ended')
    expect(String(json.warnings)).toContain(`has no backup of ${met}`)
    expect(String(json.warnings)).not.toContain(goes)

    const elsewhere = await configured({
      backup: { ...backup, url: { env: 'BACKUP_URL' } },
      env: { BACKUP_URL: urlOf(database).replace(/:\d+\//, ':1/') },
    })
    const unknown = await elsewhere.runJson('check')
    expect([unknown.code, unknown.json.error?.message]).toEqual([
      50,
      expect.stringContaining(`backup of ${prefix}*: which databases that is cannot be read from the server`),
    ])
    expect((unknown.json.backups as { databases: object[] }).databases[0]).toEqual(
      expect.objectContaining({ database, ok: true }),
    )
  })
})
