import { copyFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { constants, Script } from 'node:vm'
import { execa } from 'execa'
import { describe, expect } from 'vitest'
import { server, test, urlOf } from './support/postgres.ts'

const dist = join(import.meta.dirname, '../dist')
const program = join(dist, 'pgbosun.cjs')

const caches = ['up.cache', 'migrate.cache', 'help.cache']

/** The package in a folder of the test's own, to break it. */
function copyOf(dir: string): string {
  for (const file of ['main.js', 'more.js', 'folder-program.js', ...caches, 'package.json', 'pgbosun.cjs'])
    copyFileSync(join(dist, file), join(dir, file))
  return join(dir, 'pgbosun.cjs')
}

const version = (file: string, nodeFlags: string[] = []) => execa(process.execPath, [...nodeFlags, file, '--version'])

describe.skipIf(!existsSync(join(dist, 'up.cache')))('the built program', () => {
  test.for(['up', 'migrate', 'help'])('has a code cache that fits it: %s', (name) => {
    const script = new Script(readFileSync(join(dist, 'main.js'), 'latin1'), {
      cachedData: readFileSync(join(dist, `${name}.cache`)),
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    })
    expect(script.cachedDataRejected).toBe(false)
  })

  test.for(['main', 'more', 'pg-query', 'age', 'folder-program'])('is plain ASCII, as which it is read: %s', (name) => {
    expect(readFileSync(join(dist, `${name}.js`), 'utf8').match(/[\u0080-\uffff]/g)).toBeNull()
  })

  test('starts the same without a cache, with a broken one and with one of another V8', async ({ dir }) => {
    const { stdout } = await version(program)
    expect(stdout).toMatch(/^\d+\.\d+\.\d+$/)

    const copy = copyOf(dir)
    expect((await version(copy, ['--no-opt'])).stdout).toBe(stdout)
    for (const cache of caches) truncateSync(join(dir, cache), 1000)
    expect((await version(copy)).stdout).toBe(stdout)
    for (const cache of caches) writeFileSync(join(dir, cache), '')
    expect((await version(copy)).stdout).toBe(stdout)
  })

  test('has the defaults of the schema built in', async ({ dir }) => {
    const show = async (file: string) => {
      const { stdout } = await execa(process.execPath, [file, 'config', 'show', '--json'], {
        cwd: dir,
        env: { DATABASE_URL: 'postgres://h/d' },
        extendEnv: false,
      })
      return JSON.parse(stdout).config
    }
    expect(await show(program)).toEqual(await show(join(dist, '../src/cli/main.ts')))
  })

  test('needs no file but those of dist', async ({ dir }) => {
    const url = urlOf('postgres')
    await execa(process.execPath, [copyOf(dir), 'wait'], { cwd: dir, env: { DATABASE_URL: url }, extendEnv: false })
  })

  test('reads only a part of itself for an up, a migration without a configuration and --help', () => {
    expect(statSync(join(dist, 'main.js')).size).toBeLessThan(statSync(join(dist, 'more.js')).size)
  })

  test('lints with the parser and its WASM beside it', async ({ dir }) => {
    for (const file of ['pg-query.js', 'libpg-query.wasm']) copyFileSync(join(dist, file), join(dir, file))
    writeFileSync(join(dir, 'x.sql'), 'create index on users (email)')
    const args = [copyOf(dir), 'migrate', 'lint', 'x.sql', '--format', 'github']
    const { stdout } = await execa(process.execPath, args, { cwd: dir, extendEnv: false })
    expect(stdout).toContain('::warning file=x.sql,line=1,col=1,title=index-not-concurrent::')
  })

  test('runs neither the schema nor the YAML parser for a configuration without a problem', async ({ dir }) => {
    const hook = join(dir, 'hook.cjs')
    writeFileSync(
      hook,
      `const { Script } = require('node:vm')
       const run = Script.prototype.runInThisContext
       let called = ''
       Script.prototype.runInThisContext = function (...args) {
         const parts = run.apply(this, args)
         const noting = (part) =>
           typeof part !== 'function' ? part : function (...args) {
             called += part
             return part.apply(this, args)
           }
         if (typeof parts === 'function') return noting(parts)
         for (const [name, part] of Object.entries(parts)) parts[name] = noting(part)
         return parts
       }
       process.on('exit', () => require('node:fs').writeFileSync('called', called))`,
    )
    const slow = async (configuration: string) => {
      writeFileSync(join(dir, 'pgbosun.yaml'), configuration)
      await execa(process.execPath, ['--require', hook, program, 'config', 'validate'], {
        cwd: dir,
        env: { DATABASE_URL: 'postgres://h/d', PGBOSUN_WAIT_TIMEOUT: '7s' },
        extendEnv: false,
        reject: false,
      })
      const text = readFileSync(join(dir, 'called'), 'utf8')
      return { parser: /\bparseDocument=/.test(text), schema: /\$ZodUnion/.test(text) }
    }
    expect(await slow('lock: { timeout: 5m } # a comment')).toEqual({ parser: false, schema: false })
    expect(await slow('lock: { timeout: &x 5m }')).toEqual({ parser: true, schema: false })
    expect(await slow('lock: { timeuot: 5m }')).toEqual({ parser: false, schema: true })
  })

  test('loads neither tls nor http nor what else is slow when it only talks to a server', async ({ dir }) => {
    const hook = join(dir, 'hook.cjs')
    writeFileSync(
      hook,
      `process.on('exit', () => require('node:fs').writeFileSync('loaded', process.moduleLoadList.join('\\n')))`,
    )
    await execa(process.execPath, ['--require', hook, program, 'wait'], {
      cwd: dir,
      env: { DATABASE_URL: server().adminUrl },
      extendEnv: false,
    })
    const loaded = readFileSync(join(dir, 'loaded'), 'utf8').split('\n')
    expect(loaded).toContain('NativeModule net')
    const slow =
      /^NativeModule (tls|http|https|http2|zlib|child_process|worker_threads|assert|inspector|internal\/deps\/undici.*)$/
    expect(loaded.filter((name) => slow.test(name))).toEqual([])
  })
})
