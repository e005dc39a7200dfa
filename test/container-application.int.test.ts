import { execFileSync } from 'node:child_process'
import { cpSync, symlinkSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { docker, dockerOk, image, label, labelValue } from './support/docker.ts'
import { type Postgres, test } from './support/engine.ts'

const root = join(import.meta.dirname, '..')

/** As an application runs where its image is taken seriously. */
const hardened = ['--read-only', '--tmpfs=/tmp', '--cap-drop=ALL', '--security-opt=no-new-privileges']

/** Builds examples/images/NAME.Containerfile as its users do. @returns the name of the image */
async function build(name: string, context = join(root, 'examples', 'images')): Promise<string> {
  const tag = `${image}-${name}`
  const file = join(context, `${name}.Containerfile`)
  await dockerOk('build', '--quiet', `--build-arg=PGBOSUN_IMAGE=${image}`, `--tag=${tag}`, `--file=${file}`, context)
  return tag
}

const runArgs = (
  tag: string,
  { network, url }: { network: string; url: string },
  command: string[],
  flags: string[] = [],
) => [
  'run',
  `--label=${label}=${labelValue()}`,
  ...hardened,
  `--network=${network}`,
  `--env=DATABASE_URL=${url}`,
  ...flags,
  tag,
  ...command,
]

const at = (postgres: Postgres, database: string) => ({ network: postgres.network, url: postgres.url(database) })

async function logged(id: string, pattern: RegExp): Promise<void> {
  let output = ''
  for (let i = 0; i < 200; i++) {
    const { stdout, stderr } = await docker(['logs', id])
    output = stdout + stderr
    if (pattern.test(output)) return
    await sleep(100)
  }
  throw new Error(`container ${id} did not log ${pattern}:\n${output}`)
}

const lines = (text: string) => text.trim().split('\n').sort()

/** What holds for every application that pgbosun becomes. `say` is what it logs when it serves, `name` what process 1 is then. */
function becomes(tag: () => string, { say, name }: { say: RegExp; name: RegExp }) {
  test('prepares the database, then is process 1 with the container’s environment, and hears SIGTERM', async ({
    postgres,
    database,
  }) => {
    const args = runArgs(tag(), at(postgres, database), [], ['--detach', '--env=spring.name=x y'])
    const id = await dockerOk(...args)
    await logged(id, say)

    const read = (file: string) => dockerOk('exec', id, 'cat', file)
    expect((await read('/proc/1/cmdline')).replaceAll('\0', ' ')).toMatch(name)
    expect(lines((await read('/proc/1/environ')).replaceAll('\0', '\n'))).toEqual(
      lines(await dockerOk('exec', id, 'env')),
    )
    expect(await read('/proc/1/maps')).not.toContain('pgbosun')
    expect(await postgres.query(database, 'select count(*) from notes')).toBe('0')

    const stoppedAt = performance.now()
    await dockerOk('stop', '--time=20', id)
    expect(performance.now() - stoppedAt).toBeLessThan(10_000)
    expect(await dockerOk('inspect', '--format={{.State.ExitCode}}', id)).toBe('0')
    await dockerOk('rm', id)
  })

  test('ends with the application’s exit code', async ({ postgres, database }) => {
    const finished = await docker(runArgs(tag(), at(postgres, database), ['sh', '-c', 'exit 7'], ['--rm']))
    expect(finished.code, finished.stderr).toBe(7)
  })

  test('does not start the application after a failure', async ({ postgres, database }) => {
    const url = new URL(postgres.url(database))
    url.password = 'wrong'
    const where = { ...at(postgres, database), url: url.href }
    const { code, stdout } = await docker(runArgs(tag(), where, ['echo', 'started'], ['--rm']))
    expect([code, stdout]).toEqual([12, expect.not.stringContaining('started')])
  })
}

describe('migrations in an image', () => {
  test('migrations in an image are applied', async ({ postgres, database }) => {
    const tag = await build('migrations')
    const { code, stderr } = await docker(runArgs(tag, at(postgres, database), [], ['--rm']))
    expect(code, stderr).toBe(0)
    expect(await postgres.query(database, 'select count(*) from notes')).toBe('0')
  })
})

describe('pgbosun in the image of an application on Debian, without Node', () => {
  let tag: string
  beforeAll(async () => {
    tag = await build('application-debian')
  })

  becomes(() => tag, { say: /Booting worker/, name: /gunicorn/ })

  test('the application serves what was prepared', async ({ postgres, database }) => {
    const id = await dockerOk(...runArgs(tag, at(postgres, database), [], ['--detach']))
    await logged(id, /Booting worker/)
    const get = 'import urllib.request as r; print(r.urlopen("http://127.0.0.1:8000/").read().decode())'
    expect(await dockerOk('exec', id, 'python3', '-c', get)).toBe('0 notes')
    await dockerOk('rm', '--force', id)
  })

  test('brings client programs that make a backup, with libraries of their own', async ({ postgres, database }) => {
    const flags = [
      '--rm',
      '--entrypoint=/opt/pgbosun/bin/pgbosun',
      '--env=PGBOSUN_BACKUP_STORE=file:///tmp/backups',
      '--env=LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu:/lib/x86_64-linux-gnu',
    ]
    const { code, stdout, stderr } = await docker(runArgs(tag, at(postgres, database), ['backup', '--json'], flags))
    expect(code, stderr).toBe(0)
    // a tmpfs is all that is mounted there
    const ends = 'file:///tmp/backups is in memory (tmpfs), and ends with the container'
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      warnings: [`${ends}: mount a volume there, or set backup.store to one`],
    })
  })
})

describe('pgbosun in the image of an application on Node, as a package', () => {
  let tag: string
  let context: string
  beforeAll(async () => {
    context = await mkdtemp(join(tmpdir(), 'pgbosun-package-'))
    const checkout = join(context, 'checkout')
    // a copy: packing builds dist/, which other tests run
    for (const path of ['package.json', 'README.md', 'LICENSE', 'src', 'scripts', 'migrations', 'seeds'])
      cpSync(join(root, path), join(checkout, path), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'))
    cpSync(join(root, 'examples', 'images'), context, { recursive: true })
    execFileSync('npm', ['pack', '--pack-destination', context], { cwd: checkout, stdio: 'pipe' })
    await rm(checkout, { recursive: true })
    tag = await build('application-node', context)
  })
  afterAll(() => rm(context, { recursive: true, force: true }))

  becomes(() => tag, { say: /listening/, name: /node application\.js/ })
})
