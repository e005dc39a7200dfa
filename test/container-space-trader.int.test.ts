import { execFileSync, spawn } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { until } from './support/chaos.ts'
import { docker, image, withReadableDir } from './support/docker.ts'
import { uniqueName } from './support/postgres.ts'

const example = join(import.meta.dirname, '..', 'examples', 'space-trader')

/** What the example names, where the engine has it; otherwise the version of the other examples. The other test has PostgreSQL 15. */
async function postgresImage(): Promise<string> {
  const wanted = 'docker.io/library/postgres:15-bookworm'
  return (await docker(['image', 'inspect', wanted])).code === 0 ? wanted : 'docker.io/library/postgres:17-trixie'
}

test(
  'examples/space-trader runs with the network cut, and a person restores a backup, the present state saved first, and goes back',
  () =>
    withReadableDir(async (dir) => {
      cpSync(example, dir, { recursive: true, filter: (path) => !/\/secrets$/.test(path) })
      execFileSync(join(dir, 'secrets.sh'))
      // no container can reach anything outside of its network
      writeFileSync(join(dir, 'cut.yaml'), 'networks: { sectorwars: { internal: true } }\n')
      const project = uniqueName('space')
      const flags = ['compose', '--project-name', project, '-f', 'compose.yaml', '-f', 'cut.yaml']
      const env = { BOSUN_IMAGE: image, POSTGRES_IMAGE: await postgresImage() }
      const compose = (...args: string[]) => docker([...flags, ...args], { cwd: dir, env })
      const ok = async (...args: string[]) => {
        const { code, stdout, stderr } = await compose(...args)
        expect([args, code], stderr).toEqual([args, 0])
        return stdout.trim()
      }
      const psql = (text: string) =>
        ok('exec', '-T', '--user', 'postgres', 'postgres', 'psql', '-XAtqc', text, 'sectorwars_dev')
      const pgbosun = (...args: string[]) => ok('exec', '-T', 'pgbosun', 'pgbosun', ...args)
      /** Runs a command of `pgbosun` on a terminal, and types when it shows something. */
      const onTerminal = async (args: string[], typing: [shown: string, keys: string][]) => {
        const command = ['docker', ...flags, 'exec', 'pgbosun', 'pgbosun', ...args].map((word) => `'${word}'`).join(' ')
        const child = spawn('script', ['-qec', command, '/dev/null'], { cwd: dir, env: { ...process.env, ...env } })
        let shown = ''
        child.stdout.setEncoding('utf8').on('data', (text) => {
          shown += text
        })
        const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
        let seen = 0
        for (const [what, keys] of typing) {
          await until(`it shows ${what}`, () => {
            const at = shown.indexOf(what, seen)
            if (at >= 0) seen = at + what.length
            return at >= 0 || child.exitCode !== null
          })
          expect(child.exitCode, shown).toBe(null)
          child.stdin.write(keys)
        }
        expect(await ended, shown).toBe(0)
        return shown
      }

      try {
        const started = await compose('up', '--wait', '--pull', 'never')
        expect(started.code, `${started.stderr}\n${(await compose('logs')).stdout}`).toBe(0)
        const inspected = await docker(['inspect', '--format={{json .}}', await ok('ps', '-q', 'postgres')])
        const { Config, HostConfig, NetworkSettings } = JSON.parse(inspected.stdout)
        expect(Config.Healthcheck).toMatchObject({ Interval: 10e9, Timeout: 5e9, Retries: 5 })
        expect(HostConfig.RestartPolicy.Name).toBe('unless-stopped')
        expect(Object.keys(NetworkSettings.Networks)).toEqual([`${project}_sectorwars`])
        expect(NetworkSettings.Ports['5432/tcp'] ?? null).toBe(null)
        expect(await psql('show shared_buffers')).toBe('256MB')
        expect(await psql('show config_file')).toBe('/etc/postgresql/postgresql.conf')
        const network = ['network', 'inspect', '--format={{.Internal}}', `${project}_sectorwars`]
        expect((await docker(network)).stdout.trim()).toBe('true')

        await ok('cp', join(dir, 'hosted/universe.sql'), 'postgres:/tmp/universe.sql')
        await ok('exec', '-T', '--user', 'postgres', 'postgres', 'psql', '-Xqf', '/tmp/universe.sql', 'sectorwars_dev')
        const players = await psql('select count(*) from players')
        const { id } = JSON.parse(await pgbosun('backup', 'run', '--json'))
        expect(await pgbosun('check')).toMatch(/^healthy$/m)

        // what should not have happened
        await psql('delete from players')
        const restored = await onTerminal(
          ['restore'],
          [
            ['Which backup?', '\r'],
            ['Type its name', 'sectorwars_dev\r'],
          ],
        )
        expect(await psql('select count(*) from players')).toBe(players)
        expect(restored).toMatch(/backup +\S+ has sectorwars_dev as it was just before/)
        expect(restored).toContain(`restore  backup ${id} of`)
        await pgbosun('restore', '--release', '--yes')
        expect(await pgbosun('check')).toMatch(/^healthy$/m)

        // the present state was saved first, and the restore can be undone
        await pgbosun('restore', '--rollback', '--replace', 'sectorwars_dev')
        expect(await psql('select count(*) from players')).toBe('0')
      } finally {
        const down = await compose('down', '--volumes', '--timeout=2')
        expect(down.code, down.stderr).toBe(0)
      }
    }),
  240_000,
)

test('its database is published for developers only, as 5433', async () => {
  const config = async (...files: string[]) => {
    const flags = files.flatMap((file) => ['-f', join(example, file)])
    const { stdout, stderr } = await docker(['compose', ...flags, 'config', '--format', 'json'], { cwd: example })
    const { services, volumes } = JSON.parse(stdout || `{"services":{},"error":${JSON.stringify(stderr)}}`)
    return { ports: services.postgres.ports ?? [], volumes: Object.keys(volumes) }
  }
  expect(await config('compose.yaml')).toEqual({ ports: [], volumes: ['postgres_backups', 'postgres_data'] })
  const { ports } = await config('compose.yaml', 'compose.dev.yaml')
  expect(ports).toEqual([expect.objectContaining({ host_ip: '127.0.0.1', published: '5433', target: 5432 })])
  expect(readFileSync(join(example, 'README.md'), 'utf8')).toContain('5433')
})
