import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { configSchema } from '../src/config/schema.ts'
import { docker, image, withReadableDir } from './support/docker.ts'
import { uniqueName } from './support/postgres.ts'
import { tlsMissing } from './support/tls.ts'

const root = join(import.meta.dirname, '..')

/** A copy of what scripts/setup needs. */
function copyTo(dir: string): void {
  for (const path of [
    'compose.yaml',
    'examples/compose',
    'migrations',
    'seeds',
    'scripts/containers',
    'scripts/lib.sh',
    'scripts/setup',
  ])
    cpSync(join(root, path), join(dir, path), { recursive: true })
}

const missing = tlsMissing()
if (missing) console.warn(`NOT RUN: scripts/setup with examples/compose/tls.yaml: ${missing}`)

describe('scripts/setup', () => {
  test.skipIf(missing)('starts everything with verified TLS, prints no secret, and is harmless again', () =>
    withReadableDir(async (dir) => {
      copyTo(dir)
      const project = uniqueName('setup')
      const env = { BOSUN_IMAGE: image, PGBOSUN_PORT: '0', COMPOSE_PROJECT_NAME: project }
      const tls = ['-f', 'examples/compose/tls.yaml']
      const compose = (...args: string[]) =>
        docker(['compose', '-f', 'compose.yaml', ...tls, ...args], {
          cwd: dir,
          env: { ...env, COMPOSE_PROJECT_NAME: project },
        })
      try {
        const first = await setUp(dir, env, ...tls)
        expect(first.code, first.output).toBe(0)
        const secrets = readdirSync(join(dir, 'secrets')).map((name) => join(dir, 'secrets', name))
        expect(statSync(join(dir, 'secrets')).mode & 0o777).toBe(0o700)
        for (const file of secrets) expect(statSync(file).mode & 0o777, file).toBe(0o444)
        const texts = secrets.map((file) => readFileSync(file, 'utf8').trim())
        for (const text of texts) expect(first.output).not.toContain(text)
        expect(first.output).toContain('exec serve pgbosun status')

        const wait = (ca: string) =>
          compose('exec', '-T', '-e', `PGBOSUN_DATABASE_TLS_CA=${ca}`, 'serve', 'pgbosun', 'wait')
        expect(await wait('/run/secrets/tls_certificate')).toMatchObject({ code: 0 })
        expect(await wait('system')).toMatchObject({ code: 12 })
        expect(await compose('exec', '-T', 'serve', 'pgbosun', 'backup')).toMatchObject({ code: 0 })

        const again = await setUp(dir, env, ...tls)
        expect(again.code, again.output).toBe(0)
        expect(secrets.map((file) => readFileSync(file, 'utf8').trim())).toEqual(texts)
        expect((await compose('exec', '-T', 'serve', 'pgbosun', 'backup', 'list', '--json')).stdout).toContain('"id"')
      } finally {
        await compose('down', '--volumes', '--timeout=2')
      }
    }),
  )

  test('says what is missing where there is neither Docker nor Podman', () =>
    withReadableDir(async (dir) => {
      copyTo(dir)
      mkdirSync(join(dir, 'bin'))
      symlinkSync('/usr/bin/dirname', join(dir, 'bin', 'dirname'))
      const { code, output } = await setUp(dir, { PATH: join(dir, 'bin') })
      expect(code).toBe(1)
      expect(output).toContain('error: neither Docker nor Podman was found')
      expect(existsSync(join(dir, 'secrets'))).toBe(false)
    }))
})

test.each([
  ['s3', { BACKUP_STORE: 's3://games/backups' }, ['s3_access_key', 's3_secret_key']],
  ['notify', {}, ['healthchecks_url', 'slack_url']],
])('examples/compose/%s.yaml is an override that Compose and the program understand', (name, more, files) =>
  withReadableDir(async (dir) => {
    copyTo(dir)
    const override = ['compose', '-f', 'compose.yaml', '-f', `examples/compose/${name}.yaml`]
    const { code, stdout, stderr } = await docker([...override, 'config'], { cwd: dir, env: more })
    expect(code, stderr).toBe(0)
    const serve = (parse(stdout) as { services: Record<string, { environment: Record<string, string> }> }).services
      .serve!
    for (const file of files) expect(stdout).toContain(`source: ${file}`)
    const config = join(dir, 'examples', 'compose', name === 'notify' ? 'pgbosun-notify.yaml' : 'pgbosun.yaml')
    expect(configSchema.safeParse(parse(readFileSync(config, 'utf8')))).toMatchObject({ success: true })
    expect(serve.environment).toMatchObject({ POSTGRES_USER: 'games_backup' })
    const flags = Object.entries(serve.environment).flatMap(([key, value]) =>
      key !== 'PGBOSUN_CONFIG' ? [`--env=${key}=${value}`] : [],
    )
    writeFileSync(join(dir, 'key'), 'k', { mode: 0o444 })
    const mounts = [
      ...[...files, 'games_app_password', 'games_backup_password'].map(
        (file) => `--volume=${join(dir, 'key')}:/run/secrets/${file}:ro`,
      ),
      `--volume=${config}:/pgbosun.yaml:ro`,
    ]
    const shown = await docker(['run', '--rm', ...flags, ...mounts, image, 'config', 'validate'])
    expect(shown.code, shown.stderr).toBe(0)
  }))

const setUp = (dir: string, env: Record<string, string>, ...args: string[]) =>
  new Promise<{ code: number | null; output: string }>((resolve) => {
    const child = execFile(
      '/bin/bash',
      [join(dir, 'scripts', 'setup'), ...args],
      { env: { ...process.env, ...env } },
      (_, out, err) => resolve({ code: child.exitCode, output: out + err }),
    )
  })
