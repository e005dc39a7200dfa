import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { docker, dockerOk, runArgs } from './support/docker.ts'
import { test as base, type Postgres } from './support/engine.ts'
import { uniqueName, writeFiles } from './support/postgres.ts'

type Serve = {
  id: string
  /** An answer of its HTTP server. */
  get(path: string): Promise<{ status: number; body: string }>
  /** Runs the program beside it, in the same container. */
  pgbosun(...args: string[]): ReturnType<typeof docker>
}

/** `serve` in 64 MiB, with a volume for its backups. */
const test = base.extend<{ serve: Serve }>({
  serve: async ({ postgres, database, dir }, use) => {
    await writeFiles(dir, { '001_games.sql': 'create table games as select generate_series(1, 1000) id' })
    const volume = uniqueName('pgbosun-backups')
    const id = await startServe(postgres, database, dir, volume)
    const [address] = (await dockerOk('port', id, '8080')).split('\n')
    await use({
      id,
      async get(path) {
        const response = await fetch(`http://${address}${path}`)
        return { status: response.status, body: await response.text() }
      },
      pgbosun: (...args) => docker(['exec', id, 'pgbosun', ...args]),
    })
    await dockerOk('rm', '--force', id)
    await dockerOk('volume', 'rm', volume)
  },
})

const startServe = (postgres: Postgres, database: string, dir: string, volume: string) =>
  dockerOk(
    ...runArgs(['serve'], {
      network: postgres.network,
      env: {
        DATABASE_URL: postgres.url(database),
        PGBOSUN_BACKUP_SCHEDULE: '* * * * *',
        PGBOSUN_SERVE_ACCESS: 'open', // a published port is not loopback
      },
      mounts: { [dir]: '/migrations' },
      flags: ['--detach', '--memory=64m', '--publish=127.0.0.1::8080', `--volume=${volume}:/backups`],
    }),
  )

describe('serve in a container', () => {
  test('makes the database ready, backs up on schedule, restores, and ends with 0 when it is asked to stop', async ({
    postgres,
    serve,
  }) => {
    await until(async () => (await serve.get('/startupz')).status === 200)
    expect(await serve.pgbosun('healthcheck')).toMatchObject({ code: 0 })
    expect(await serve.get('/readyz')).toMatchObject({ status: 200 })

    await until(
      async () => JSON.parse((await serve.get('/status.json')).body).backups[0].last_success_at !== null,
    ).catch(async (error) => expect.fail(`${error.message}\n${(await docker(['logs', serve.id])).stderr}`))
    const listed = JSON.parse((await serve.pgbosun('backup', 'list', '--json')).stdout)
    // on a slow machine the next minute's as well
    expect(listed.backups.map(({ verified }: { verified: boolean }) => verified)).toContain(true)
    expect(await serve.pgbosun('backup', 'verify', 'latest')).toMatchObject({ code: 0 })

    const restored = uniqueName('restored')
    const restore = await serve.pgbosun('restore', 'latest', '--into', restored, '--yes')
    expect(restore.code, restore.stderr).toBe(0)
    expect(await postgres.query(restored, 'select count(*) from games')).toBe('1000')

    const stoppedAt = performance.now()
    await dockerOk('stop', '--time=20', serve.id)
    expect(performance.now() - stoppedAt).toBeLessThan(10_000)
    expect(await dockerOk('inspect', '--format={{.State.ExitCode}} {{.State.OOMKilled}}', serve.id)).toBe('0 false')
  })
})

async function until(done: () => Promise<boolean>, withinMs = 90_000): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await done().catch(() => false))) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs / 1000} s: ${done}`)
    await sleep(200)
  }
}
