import { describe, expect } from 'vitest'
import { backUp, client, test } from './support/backup.ts'
import { manifestOf, putBackup } from './support/many.ts'
import { urlOf } from './support/postgres.ts'

const hour = 3_600_000
const shifted = (ms: number) => ({ now: () => new Date(Date.now() + ms) })

describe.skipIf(!client)('a clock that is wrong', { timeout: 120_000 }, () => {
  test('a backup that starts in the future is the newest for nobody; its id restores it', async ({
    database,

    store,
    pgbosun,
  }) => {
    const right = await backUp(store, urlOf(database))
    const wrong = await backUp(store, urlOf(database), shifted(2 * hour))
    expect(wrong.warnings).toContainEqual(
      expect.stringMatching(/clock of this machine is (2h|119m|7\d{3}s).* ahead of/),
    )
    expect(right.warnings).toEqual([])

    const verify = await pgbosun.runJson('backup', 'verify', 'latest')
    expect(verify.json.results).toMatchObject([{ id: right.id, ok: true }])
    const check = await pgbosun.runJson('check')
    expect(check.json.backups).toMatchObject({ databases: [{ last_id: right.id }] })
    expect(check.json.warnings).toContainEqual(
      expect.stringContaining(`${wrong.id} of ${database} starts in the future`),
    )
    const prune = await pgbosun.runJson('backup', 'prune', '--dry-run')
    expect(prune.json.backups).toMatchObject([
      { id: wrong.id, action: 'keep', reasons: ['starts in the future'] },
      { id: right.id, action: 'keep', reasons: expect.arrayContaining(['newest', 'newest verified']) },
    ])
    expect((await pgbosun.run('backup', 'list')).stdout).toMatch(new RegExp(`${wrong.id}.*starts in the future`))

    const latest = await pgbosun.runJson('restore', 'latest', '--into', `${database}_r`, '--yes')
    expect(latest.json).toMatchObject({ ok: true, id: right.id })
    expect(latest.json.warnings).toContainEqual(expect.stringContaining(`backup ${wrong.id} is dated`))
    const named = await pgbosun.run('restore', wrong.id, '--into', `${database}_f`, '--yes')
    expect([named.code, named.stdout]).toEqual([0, expect.stringMatching(/taken \d+ s ago/)])
  })

  test('one that was made with a clock behind is the newest all the same: the clock of the server counts', async ({
    database,
    store,
    pgbosun,
  }) => {
    const first = await backUp(store, urlOf(database))
    const behind = await backUp(store, urlOf(database), shifted(-3 * hour))
    expect(behind.warnings).toContainEqual(expect.stringContaining('behind that of the server'))
    expect(Math.abs(Date.parse(behind.manifest.server_time!) - Date.now())).toBeLessThan(60_000)
    const list = await pgbosun.runJson('backup', 'list')
    expect((list.json.backups as { id: string }[]).map(({ id }) => id)).toEqual([first.id, behind.id])
    const verify = await pgbosun.runJson('backup', 'verify')
    expect(verify.json.results).toMatchObject([{ id: behind.id }])
    const check = await pgbosun.runJson('check')
    expect(check.json.backups).toMatchObject({ databases: [{ last_id: behind.id }] })
    const { age_ms } = (check.json.backups as { databases: { age_ms: number }[] }).databases[0]!
    expect(age_ms).toBeLessThan(100_000)
  })

  test('only backups from the future: exit 62 names one, and nothing is touched', async ({
    database,
    store,
    pgbosun,
  }) => {
    const id = putBackup(store, manifestOf(database, new Date(Date.now() + 2 * hour), 'abcd0000'))
    const { json } = await pgbosun.runJson('restore', 'latest', '--into', `${database}_n`, '--yes')
    expect(json).toMatchObject({
      exit_code: 62,
      error: { message: expect.stringContaining('is not dated in the future'), hint: expect.stringContaining(id) },
      touched: false,
    })
    expect((await pgbosun.runJson('backup', 'verify')).json.exit_code).toBe(62)
  })
})
