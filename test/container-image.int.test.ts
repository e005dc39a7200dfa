import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { dockerOk, image, run } from './support/docker.ts'

const node = (script: string, ...flags: string[]) =>
  run([...flags, '-e', script], { flags: ['--entrypoint=/usr/local/bin/node'] })

describe('the image', () => {
  test('runs as user 65532 from /, has no health check for one-shot runs to inherit, and stays small', async () => {
    const [inspected] = JSON.parse(await dockerOk('image', 'inspect', image))
    expect(inspected.Config).toMatchObject({ User: '65532:65532', WorkingDir: '/', Cmd: ['up'] })
    expect(inspected.Config.Healthcheck).toBeUndefined()
    expect(Object.keys(inspected.Config.ExposedPorts)).toEqual(['8080/tcp'])
    expect(Object.keys(inspected.Config.Labels)).toEqual(
      ['base.name', 'description', 'licenses', 'revision', 'title', 'version'].map(
        (name) => `org.opencontainers.image.${name}`,
      ),
    )
    const compressed = Number(execFileSync('sh', ['-c', `docker save ${image} | gzip | wc -c`], { encoding: 'utf8' }))
    console.log(`the image has ${Math.round(inspected.Size / 1e6)} MB, compressed ${Math.round(compressed / 1e6)}`)
    expect(inspected.Size).toBeLessThan(145_000_000)
    expect(compressed).toBeLessThan(53_000_000)
  })

  test('holds programs that start: pgbosun by its name, and PostgreSQL’s clients', async () => {
    const { stdout, stderr } = await node(`
      const { execFileSync } = require('node:child_process')
      const { globSync } = require('node:fs')
      const programs = ['pgbosun', ...globSync('/usr/lib/postgresql/17/bin/*').sort()]
      for (const program of programs) console.log(program.split('/').at(-1), execFileSync(program, ['--version']).toString().match(/\\d+/)[0])
    `)
    expect(stderr).toBe('')
    expect(stdout).toBe('pgbosun 0\npg_dump 17\npg_dumpall 17\npg_restore 17\npsql 17\n')
  })

  test('brings code caches that its Node accepts', async () => {
    const [inspected] = JSON.parse(await dockerOk('image', 'inspect', image))
    const flags = inspected.Config.Entrypoint.filter((argument: string) => /^--./.test(argument))
    const { stdout } = await node(
      `
      const { readFileSync } = require('node:fs')
      const { Script, constants } = require('node:vm')
      for (const name of ['up', 'migrate', 'help']) {
        const filename = '/app/main.js'
        const script = new Script(readFileSync(filename, 'latin1'), {
          filename,
          cachedData: readFileSync(\`/app/\${name}.cache\`),
          importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
        })
        console.log(script.cachedDataRejected)
      }
    `,
      ...flags,
    )
    expect(flags).toHaveLength(2)
    expect(stdout).toBe('false\nfalse\nfalse\n')
  })

  test('keeps Node’s heap below the limit of the container', async () => {
    const [inspected] = JSON.parse(await dockerOk('image', 'inspect', image))
    const flags = inspected.Config.Entrypoint.filter((argument: string) => /^--./.test(argument))
    const { stdout } = await node('console.log(require("node:v8").getHeapStatistics().heap_size_limit)', ...flags)
    expect(Number(stdout)).toBeLessThan(100 * 2 ** 20)
  })

  test('has a /tmp for everybody, a /backups for its user, and nothing else that this user could write', async () => {
    const { stdout } = await node(`
      const { lstatSync, readdirSync } = require('node:fs')
      const roots = ['/app', '/backups', '/etc', '/opt', '/tmp', '/usr', '/var']
      const paths = roots.flatMap((path) => [path, ...readdirSync(path, { recursive: true }).map((name) => path + '/' + name)])
      for (const path of paths) {
        const stats = lstatSync(path)
        if (!stats.isSymbolicLink() && (stats.uid !== 0 || stats.mode & 0o002)) console.log(path, stats.mode.toString(8), stats.uid)
      }
    `)
    expect(stdout).toBe('/backups 40750 65532\n/tmp 41777 0\n')
  })

  test('the first process of the image reaps orphans', async () => {
    const script = `
      const { spawnSync } = require('node:child_process')
      const { readdirSync, readFileSync } = require('node:fs')
      const orphan = 'require("node:child_process").spawn("/usr/local/bin/node", ["-e", "setTimeout(() => {}, 100)"], { detached: true }).unref(); process.exit()'
      spawnSync('/usr/local/bin/node', ['-e', orphan])
      const states = () => readdirSync('/proc').filter((name) => /^\\d+$/.test(name)).map((pid) => readFileSync('/proc/' + pid + '/stat', 'utf8').split(') ')[1][0])
      const before = states().length
      setTimeout(() => console.log(before, states().length, states().includes('Z')), 1000)
    `
    const { stdout } = await run(['--', '/usr/local/bin/node', '-e', script], {
      flags: ['--entrypoint=/usr/bin/catatonit'],
    })
    expect(stdout).toBe('3 2 false\n')
  })
})
