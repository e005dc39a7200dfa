import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { client } from './support/backup.ts'
import { run, runJson, start } from './support/cli.ts'
import { test as base, open, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { rcloneFolder, rcloneRemotes } from './support/rclone.ts'

type Shop = {
  run(...args: string[]): ReturnType<typeof run>
  runJson(...args: string[]): ReturnType<typeof runJson>
  start(...args: string[]): ReturnType<typeof start>
  /** What the remote stores: everything is encrypted. */
  vault: string
}

const test = base.extend<{ shop: Shop }>({
  shop: async ({ dir, database }, use) => {
    const vault = join(dir, 'vault')
    mkdirSync(vault)
    await writeFiles(dir, { 'pgbosun.json': JSON.stringify({ backup: { store: 'rclone://vault/shop' } }) })
    const options = { cwd: dir, env: { ...rcloneRemotes(vault), DATABASE_URL: urlOf(database) } }
    const sql = open(database)
    await sql.unsafe('create table t as select i from generate_series(1, 1000) i')
    await sql.end()
    await use({
      run: (...args) => run(args, options),
      runJson: (...args) => runJson(args, options),
      start: (...args) => start(args, options),
      vault,
    })
  },
})

describe.skipIf(!client || rcloneFolder === undefined)('a store of rclone', () => {
  test('has backups that are listed, verified, pruned and restored', async ({ shop }) => {
    const made = [await shop.runJson('backup'), await shop.runJson('backup')]
    expect(made.map(({ code }) => code)).toEqual([0, 0])
    const ids = made.map(({ json }) => json.id as string)

    const { json } = await shop.runJson('backup', 'list')
    expect(json.backups).toMatchObject(ids.map((id) => ({ id, verified: true })))
    expect(await shop.runJson('backup', 'verify', 'all')).toMatchObject({ code: 0 })
    const pruned = await shop.runJson('backup', 'prune', '--dry-run')
    expect(pruned.json.backups).toHaveLength(2)
    const restored = await shop.runJson('restore', ids[0]!, '--into', uniqueName('copy'), '--yes')
    expect(restored).toMatchObject({ code: 0, json: { rows_compared: 1000, differences: [] } })
    // the remote encrypts names, too
    expect(readdirSync(shop.vault, { recursive: true }).join('\n')).not.toMatch(/manifest|dump/)
  })

  test('that is not configured, or whose program is missing, is said, and is never “no backups”', async ({
    dir,
    database,
  }) => {
    const env = { ...rcloneRemotes(dir), DATABASE_URL: urlOf(database) }
    const stores = { absent: 'rclone://nowhere/shop', fine: 'rclone://vault/shop' }
    for (const [name, store] of Object.entries(stores))
      await writeFiles(join(dir, name), {
        'pgbosun.json': JSON.stringify({ backup: { store, schedule: '0 3 * * *' } }),
      })
    const absent = { cwd: join(dir, 'absent'), env }
    expect(await runJson(['backup', 'list'], absent)).toMatchObject({
      code: 60,
      json: { error: { message: expect.stringMatching(/^rclone:\/\/nowhere\/shop cannot be listed: .*nowhere/) } },
    })
    expect(await runJson(['restore', 'latest', '--into', 'x', '--yes'], absent)).toMatchObject({ code: 60 })
    expect(await runJson(['check'], absent)).toMatchObject({ code: 50 })
    const without = { cwd: join(dir, 'fine'), env: { ...env, PATH: '/nonexistent' } }
    expect(await runJson(['backup', 'list'], without)).toMatchObject({
      code: 60,
      json: {
        error: {
          message: expect.stringContaining('rclone could not be started'),
          hint: expect.stringContaining('install rclone'),
        },
      },
    })
  })

  test('whose list is not whole is never one without backups', async ({ shop, dir, database }) => {
    await shop.run('backup')
    // rclone says of a folder below that is not there what it says of a store that is not there
    const both = {
      RCLONE_CONFIG_BOTH_TYPE: 'combine',
      RCLONE_CONFIG_BOTH_UPSTREAMS: `${database}=vault:shop/${database} gone=vault:nowhere`,
      RCLONE_CONFIG_TOP_TYPE: 'combine',
      RCLONE_CONFIG_TOP_UPSTREAMS: `${database}=both:`,
    }
    const env = { ...rcloneRemotes(shop.vault), DATABASE_URL: urlOf(database), ...both }
    await writeFiles(join(dir, 'half'), { 'pgbosun.json': JSON.stringify({ backup: { store: 'rclone://top/' } }) })
    expect(await runJson(['backup', 'list'], { cwd: join(dir, 'half'), env })).toMatchObject({
      code: 60,
      json: { error: { message: expect.stringContaining('rclone://top/ cannot be listed') } },
    })
    for (const answer of ['', 'echo "["', 'echo "["; printf \'{"Path":"1/\'', 'echo fine']) {
      await writeFiles(join(dir, 'bin'), { rclone: `#!/bin/sh\n${answer}\n` })
      chmodSync(join(dir, 'bin/rclone'), 0o755)
      const options = { cwd: dir, env: { ...env, PATH: `${dir}/bin:${process.env.PATH}` } }
      expect(await runJson(['backup', 'list'], options), answer).toMatchObject({
        code: 60,
        json: { error: { message: expect.stringContaining('cannot be listed') } },
      })
    }
  })

  test('is what it is, whatever variables of rclone leave out or only pretend', async ({ shop, dir, database }) => {
    const pretending = {
      RCLONE_MAX_DEPTH: '1',
      RCLONE_MIN_SIZE: '1G',
      RCLONE_EXCLUDE: '**',
      RCLONE_DRY_RUN: 'true',
      RCLONE_VERBOSE: '2',
    }
    const env = { ...rcloneRemotes(shop.vault), DATABASE_URL: urlOf(database), ...pretending }
    expect(await run(['backup'], { cwd: dir, env })).toMatchObject({ code: 0 })
    const { json } = await runJson(['backup', 'list'], { cwd: dir, env })
    expect(json.backups).toHaveLength(1)
  })

  test('that nobody has written to is empty', async ({ shop }) => {
    expect(await shop.run('backup', 'list')).toMatchObject({
      code: 0,
      stdout: 'there are no backups in rclone://vault/shop\n',
    })
    expect(await shop.runJson('restore', 'latest', '--into', 'x', '--yes')).toMatchObject({ code: 62 })
  })

  test('ends its programs when the backup is told to stop', async ({ shop, database }) => {
    const sql = open(database)
    await sql.unsafe(
      'create table big as select md5(i::text) as t, repeat(md5(i::text), 20) from generate_series(1, 400000) i',
    )
    await sql.end()
    const backup = shop.start('backup')
    for (let i = 0; i < 600 && !calls().some((line) => line.includes('rcat') && line.includes('dump')); i++)
      await new Promise((resolve) => setTimeout(resolve, 50))
    backup.child.kill('SIGTERM')
    const { code } = await backup.finished
    expect(code).toBe(143)
    expect(calls().filter((line) => line.includes('rclone://') || line.includes(`vault:shop/${database}`))).toEqual([])
    const { json } = await shop.runJson('backup', 'list')
    expect(json.backups).toEqual([])
  })
})

/** The command lines of all processes. */
function calls(): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && existsSync(`/proc/${pid}/cmdline`))
    .flatMap((pid) => {
      try {
        return [process.getBuiltinModule('node:fs').readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')]
      } catch {
        return []
      }
    })
    .filter((line) => line.startsWith('rclone '))
}
