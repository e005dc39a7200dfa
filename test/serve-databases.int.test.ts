import { readdirSync } from 'node:fs'
import { expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { client, test } from './support/backup.ts'
import { open, uniqueName, urlOf } from './support/postgres.ts'

type Status = {
  backups: {
    database: string
    last_success_id: string | null
    last_error: string | null
    ended?: boolean
    schedules: { last_success_id: string | null; next_run_at: string | null; slots: object[] }[]
  }[]
  conditions: { name: string; database: string }[]
}

test.skipIf(!client)(
  'serve backs up a database that a pattern matches from the next slot on, and lets one that is gone end',
  { timeout: 200_000 },
  async ({ database, configured, store }) => {
    const admin = open('postgres')
    const prefix = uniqueName('served')
    const [first, second] = [`${prefix}_first`, `${prefix}_second`]
    await admin.unsafe(`create database ${first}`)
    const port = await freePort()
    const pgbosun = await configured({
      backup: {
        databases: [`${prefix}*`],
        schedules: [
          { name: 'often', schedule: '* * * * *' },
          { name: 'yearly', schedule: '0 3 1 1 *' },
        ],
      },
      more: { serve: { listen: `127.0.0.1:${port}` } },
      env: { DATABASE_URL: urlOf(database) },
    })
    const { child, finished } = pgbosun.start('serve')
    const status = async () => (await (await fetch(`http://127.0.0.1:${port}/status.json`)).json()) as Status
    const of = async (name: string) =>
      (await status().catch(() => undefined))?.backups.find((one) => one.database === name)
    const poll = { timeout: 90_000, interval: 200 }

    const made = { last_success_id: expect.any(String) }
    await expect.poll(() => of(first), poll).toMatchObject({ schedules: [made, made] })
    await expect.poll(async () => (await of(first))?.schedules.map(({ slots }) => slots.length), poll).not.toContain(0)
    await admin.unsafe(`create database ${second}`)
    await expect.poll(() => of(second), poll).toBeDefined()
    // until its first slot nothing is overdue, and it is not made up for
    expect((await status()).conditions).toEqual([])
    await admin.unsafe(`drop database ${first} with (force)`)
    await expect
      .poll(() => of(first), poll)
      .toMatchObject({
        ...{ ended: true, last_error: null },
        schedules: [{ next_run_at: null }, { next_run_at: null }],
      })
    await expect
      .poll(() => of(second), poll)
      .toMatchObject({
        last_success_id: expect.any(String),
        // a year is over only later
        schedules: [{}, { last_success_id: null }],
      })
    expect((await status()).conditions).toEqual([])
    expect(
      readdirSync(store)
        .filter((name) => name.startsWith(prefix))
        .sort(),
    ).toEqual([first, second])
    child.kill('SIGTERM')
    const { code, stderr } = await finished
    expect(code).toBe(0)
    expect(stderr).not.toContain('"level":50')
    await admin.end()
  },
)
