import { chmod, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { docker, dockerOk, run, runArgs } from './support/docker.ts'
import { test } from './support/engine.ts'
import { uniqueName, writeFiles } from './support/postgres.ts'

const migrations = {
  '001_games.sql': 'create table games (id int primary key)',
  '002_title.sql': 'alter table games add title text',
}

describe('up in a container', () => {
  test('makes the database ready, then finds nothing to do', async ({ postgres, database, dir }) => {
    await writeFiles(dir, migrations)
    const options = {
      network: postgres.network,
      env: { DATABASE_URL: postgres.url(database) },
      mounts: { [dir]: '/migrations' },
    }

    const first = await run(['up', '--json'], options)
    const second = await run([], options)

    expect(first.code, first.stderr).toBe(0)
    expect(JSON.parse(first.stdout)).toMatchObject({ ok: true, exit_code: 0 })
    expect(second).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing to do') })
    expect(await postgres.query(database, 'select title from games')).toBe('')
  })

  test('creates the database and its users from a configuration, passwords and migrations mounted as Kubernetes does', async ({
    postgres,
    dir,
  }) => {
    const name = uniqueName('games')
    const pgbosun = `
      database: { url: { file: /etc/pgbosun/secrets/url } }
      migrate: { dir: /migrations }
      databases:
        ${name}:
          owner: ${name}_owner
          users: { ${name}_app: { preset: app, password: { file: /etc/pgbosun/secrets/app } } }
    `
    await volume(join(dir, 'config'), { 'pgbosun.yaml': pgbosun })
    await volume(join(dir, 'secrets'), { url: `${postgres.url(name)}\n`, app: 'secret of the application\n' })
    await volume(join(dir, 'migrations'), migrations)
    const mounts = {
      [join(dir, 'config')]: '/etc/pgbosun/config',
      [join(dir, 'secrets')]: '/etc/pgbosun/secrets',
      [join(dir, 'migrations')]: '/migrations',
    }

    const finished = await run(['up'], {
      network: postgres.network,
      env: { PGBOSUN_CONFIG: '/etc/pgbosun/config/pgbosun.yaml' },
      mounts,
    })

    expect(finished.code, finished.stderr).toBe(0)
    expect(await postgres.query(name, `select tableowner from pg_tables where tablename = 'games'`)).toBe(
      `${name}_owner`,
    )
    const login = ['psql', '-h', '127.0.0.1', '-U', `${name}_app`, '-Atc', 'select count(*) from games', name]
    const asApp = await postgres.container.exec(login, { env: { PGPASSWORD: 'secret of the application' } })
    expect(asApp.output.trim()).toBe('0')
  })

  test('ends with 12 on a wrong password, and says so in the termination log', async ({ postgres, database, dir }) => {
    await writeFiles(dir, { 'termination-log': '' })
    await chmod(join(dir, 'termination-log'), 0o666)

    const url = new URL(postgres.url(database))
    url.password = 'wrong'
    const finished = await run(['up'], {
      network: postgres.network,
      env: { DATABASE_URL: url.href },
      flags: [`--volume=${join(dir, 'termination-log')}:/dev/termination-log`],
    })

    expect(finished).toMatchObject({ code: 12, stderr: expect.stringContaining('error: ') })
    expect(await readFile(join(dir, 'termination-log'), 'utf8')).toMatch(
      /^refused: .*the password of postgres was refused$/,
    )
  })

  test('ends with 143 soon after SIGTERM while it waits for the database', async ({ postgres }) => {
    const id = await dockerOk(
      ...runArgs(['up'], {
        network: postgres.network,
        env: { DATABASE_URL: 'postgres://postgres@nowhere/games' },
        flags: ['--detach'],
      }),
    )
    await logged(id, /nowhere/)

    const stoppedAt = performance.now()
    await dockerOk('stop', '--time=10', id)

    expect(performance.now() - stoppedAt).toBeLessThan(5_000)
    expect(await dockerOk('inspect', '--format={{.State.ExitCode}}', id)).toBe('143')
    await dockerOk('rm', id)
  })
})

/** Files as Kubernetes mounts them: links into a folder that an update replaces as a whole. */
async function volume(dir: string, files: Record<string, string>): Promise<void> {
  const version = '..2026_01_01_00_00_00.1'
  await writeFiles(join(dir, version), files)
  await symlink(version, join(dir, '..data'))
  for (const name of Object.keys(files)) await symlink(join('..data', name), join(dir, name))
}

async function logged(id: string, pattern: RegExp): Promise<void> {
  for (let i = 0; i < 100; i++) {
    const { stdout, stderr } = await docker(['logs', id])
    if (pattern.test(stdout + stderr)) return
    await sleep(100)
  }
  throw new Error(`container ${id} did not log ${pattern}`)
}
