import { execFileSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test as base, describe, expect } from 'vitest'
import { docker, image, withReadableDir } from './support/docker.ts'
import { uniqueName } from './support/postgres.ts'

const root = join(import.meta.dirname, '..')

type Compose = {
  /** A copy of what compose.yaml mounts. */
  dir: string
  compose(...args: string[]): ReturnType<typeof docker>
  /** One service's container, as `docker inspect` shows it. */
  inspect(service: string): Promise<{ State: Record<string, unknown> & { StartedAt: string; FinishedAt: string } }>
}

/** `test` with the sample in a project of its own. */
const test = base.extend<{ project: Compose }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  project: async ({}, use) =>
    withReadableDir(async (dir) => {
      for (const path of ['compose.yaml', 'examples', 'migrations', 'seeds'])
        cpSync(join(root, path), join(dir, path), { recursive: true })
      execFileSync(join(root, 'scripts', 'containers', 'secrets.sh'), [join(dir, 'secrets')])
      const name = uniqueName('compose')
      const env = { BOSUN_IMAGE: image, PGBOSUN_PORT: '0' }
      const compose = (...args: string[]) => docker(['compose', '--project-name', name, ...args], { cwd: dir, env })
      await use({
        dir,
        compose,
        async inspect(service) {
          const { stdout } = await compose('ps', '--all', '--quiet', service)
          return JSON.parse((await docker(['inspect', stdout.trim()])).stdout)[0]
        },
      })
      await compose('down', '--volumes', '--timeout=2')
    }),
})

describe('compose.yaml', () => {
  test('starts the application once up has finished, and backs up with the role that only reads', async ({
    project: { compose, inspect },
  }) => {
    const started = await compose('up', '--wait')
    expect(started.code, started.stderr).toBe(0)
    const [up, app, serve] = await Promise.all([inspect('up'), inspect('app'), inspect('serve')])

    expect(up.State).toMatchObject({ Status: 'exited', ExitCode: 0 })
    expect(app.State).toMatchObject({ Status: 'running' })
    expect(serve.State).toMatchObject({ Status: 'running', Health: { Status: 'healthy' } })
    expect(Date.parse(app.State.StartedAt)).toBeGreaterThanOrEqual(Date.parse(up.State.FinishedAt))
    expect((await compose('logs', 'app')).stdout).toContain('maintenance_mode')

    const published = (await compose('port', 'serve', '8080')).stdout.trim()
    expect(published).toMatch(/^127\.0\.0\.1:\d+$/)
    expect((await fetch(`http://${published}/status.json`)).status).toBe(200)

    const backup = await compose('exec', '-T', 'serve', 'pgbosun', 'backup', 'run')
    expect(backup.code, backup.stderr).toBe(0)
    expect((await compose('exec', '-T', 'serve', 'pgbosun', 'backup', 'list')).stdout).toContain('games')
    expect(await compose('stop', 'serve')).toMatchObject({ code: 0 })
    expect((await inspect('serve')).State).toMatchObject({ ExitCode: 0 })
  })

  test('keeps the application from starting when a migration fails', async ({ project: { dir, compose, inspect } }) => {
    await writeFile(join(dir, 'migrations', '004_typo.sql'), 'alter tabel users add nickname text')

    const { code } = await compose('up', '--wait', 'app')

    expect(code).toBe(1)
    expect((await inspect('up')).State).toMatchObject({ ExitCode: 20 })
    expect((await inspect('app')).State).toMatchObject({ Status: 'created' })
    expect((await compose('logs', 'up')).stdout).toContain('004_typo.sql')
  })
})
