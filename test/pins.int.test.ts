import { execFileSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, vi } from 'vitest'
import { databaseObject } from '../src/postgres/lock-keys.ts'
import { test as base, client, type Pgbosun } from './support/backup.ts'
import { open, uniqueName } from './support/postgres.ts'

/** Two backups of an empty database, of which only the newest is kept by the rules, and both are old enough to be pruned. */
const test = base.extend<{ shop: Shop }>({
  shop: async ({ configured, store, database }, use) => {
    const pgbosun = await configured({ backup: { keep: { last: 1 } } })
    const made = [await pgbosun.runJson('backup'), await pgbosun.runJson('backup')].map(({ json }) => json.id as string)
    const folder = (id: string) => join(store, database, id)
    // an hour later
    const later = ['--dry-run', '--now', new Date(Date.now() + 2 * 3_600_000).toISOString()]
    const reasons = async (id: string, ...args: string[]) => {
      const { json } = await pgbosun.runJson('backup', 'prune', ...(args.length > 0 ? args : later))
      const found = (json.backups as { id: string; action: string; reasons: string[] }[]).find((one) => one.id === id)
      return [found?.action, ...(found?.reasons ?? [])]
    }
    await use({ pgbosun, older: made[0]!, folder, reasons, database })
  },
})

type Shop = {
  pgbosun: Pgbosun
  older: string
  folder(id: string): string
  /** What `prune` would do with a backup in two hours, and why. */
  reasons(id: string, ...args: string[]): Promise<(string | undefined)[]>
  database: string
}

describe.skipIf(!client)('a pinned backup', () => {
  test('is kept until it is unpinned, and says why', async ({ shop: { pgbosun, older, reasons, database } }) => {
    expect(await reasons(older)).toEqual(['delete', 'last 1: it is number 2'])

    const pinned = await pgbosun.run('backup', 'pin', older, '--note', 'before the audit\u001b[31m')
    expect(pinned).toMatchObject({ code: 0, stdout: `pinned ${older} of ${database}\n` })
    await pgbosun.run('backup', 'pin', older)
    expect(await reasons(older)).toEqual(['keep', 'pinned'])
    const { stdout } = await pgbosun.run('backup', 'list')
    expect(stdout).toMatch(new RegExp(`${older} .*, pinned: before the audit\\\\u001b\\[31m\n`))
    const { json } = await pgbosun.runJson('backup', 'list')
    expect(json.backups).toMatchObject([{ id: older, pinned: true, pin_notes: ['before the audit\u001b[31m'] }, {}])

    expect((await pgbosun.run('backup', 'unpin', older)).stdout).toBe(`${older} of ${database} is no longer pinned\n`)
    expect((await pgbosun.run('backup', 'unpin', older)).stdout).toBe(`${older} of ${database} was not pinned\n`)
    expect(await reasons(older)).toEqual(['delete', 'last 1: it is number 2'])
  })

  test('stays pinned where nobody can read the pin', async ({ shop: { pgbosun, older, folder, reasons } }) => {
    writeFileSync(join(folder(older), 'pin-0a1b2c3d.json'), 'x')
    expect(await reasons(older)).toEqual(['keep', 'pinned'])
    const { json } = await pgbosun.runJson('backup', 'list')
    expect(json.backups).toMatchObject([{ id: older, pinned: true, pin_notes: [] }, {}])
  })

  test('has to exist', async ({ shop: { pgbosun } }) => {
    const absent = '20200101T000000Z-0a1b2c3d'
    expect(await pgbosun.runJson('backup', 'pin', absent)).toMatchObject({ code: 62 })
    expect(await pgbosun.runJson('backup', 'unpin', absent)).toMatchObject({ code: 62 })
    expect(await pgbosun.runJson('backup', 'pin', 'latest')).toMatchObject({ code: 2 })
    expect(await pgbosun.runJson('backup', 'pin')).toMatchObject({ code: 2 })
  })
})

describe.skipIf(!client)('a backup that is being restored', () => {
  const leases = (folder: string) => readdirSync(folder).filter((name) => name.startsWith('lease-'))

  /** A restore of a backup that waits for the lock of the new database. */
  const waiting = async ({ pgbosun, older, folder }: Shop) => {
    const into = uniqueName('copy')
    const sql = open('postgres')
    await sql.unsafe(`select pg_catalog.pg_advisory_lock(1885823599, ${databaseObject(into)})`)
    const restore = pgbosun.start('restore', older, '--into', into, '--yes')
    await vi.waitFor(() => expect(leases(folder(older))).toHaveLength(1), { timeout: 20_000, interval: 50 })
    return { sql, restore, into }
  }

  test('is not pruned meanwhile, and is afterwards', async ({ shop }) => {
    const { older, folder, reasons } = shop
    const { sql, restore } = await waiting(shop)
    // with the real clock, by which a lease lasts for an hour; both are too young to be deleted anyway
    expect(await reasons(older, '--dry-run')).toEqual(['keep', 'being restored', 'younger than an hour'])
    await sql.end()
    expect((await restore.finished).code).toBe(0)
    expect(leases(folder(older))).toEqual([])
    expect(await reasons(older, '--dry-run')).toEqual(['keep', 'younger than an hour'])
  })

  test('is kept for an hour after the restore was killed', async ({ shop }) => {
    const { older, folder, reasons } = shop
    const { sql, restore } = await waiting(shop)
    restore.child.kill('SIGKILL')
    await sql.end()
    expect(leases(folder(older))).toHaveLength(1)
    const at = (minutes: number) => ['--dry-run', '--now', new Date(Date.now() + minutes * 60_000).toISOString()]
    expect(await reasons(older, ...at(59))).toContain('being restored')
    expect(await reasons(older, ...at(62))).toEqual(['delete', 'last 1: it is number 2'])
  })

  test('is restored from a store that cannot be written to, which is said', async ({ shop, skip }) => {
    const { pgbosun, older, folder } = shop
    const readOnly = (...args: string[]) => execFileSync('mount', [...args, folder(older)], { stdio: 'pipe' })
    try {
      readOnly('--bind', folder(older))
      readOnly('-o', 'remount,bind,ro')
    } catch {
      skip('NOT RUN: mounting a folder needs root')
    }
    const { code, stderr } = await pgbosun.run('restore', older, '--into', uniqueName('copy'), '--yes')
    execFileSync('umount', [folder(older)])
    expect(stderr).toContain('not protected from being pruned')
    expect(code).toBe(0)
  })
})
