/** The runs at build time that show what most runs use, and after which the code caches are written. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { cleanEnv, sampleArgs, sampleEnv } from './sample.ts'
import { findServerBinaries, startServer } from './server.ts'

/** A run of the built program; the cache that fits its kind is written after it. */
type Run = { cache: string; command: string[]; env: Record<string, string> }

/**
 * Runs the built program as it is run most often: `up` of the sample, `migrate` without a configuration, both with nothing to do, and
 * `--help`. The first time it finds the parts that they use, the second time it saves what V8 has compiled. If this machine has no
 * PostgreSQL server, whatever works without one does instead. A build without a cache works too, but starts more slowly.
 *
 * @param divide puts the parts with these names into `main.js`, the others into `more.js`
 */
export async function warmUp(program: string, divide: (used: Set<string>) => void): Promise<void> {
  const folder = dirname(program)
  const start = ({ command, env }: Omit<Run, 'cache'>, more: Record<string, string> = {}) =>
    execFileSync(process.execPath, [program, ...command], { env: { ...env, ...more }, stdio: 'pipe' })
  try {
    await withRuns(start, (runs) => {
      divide(new Set(runs.flatMap((run) => usedParts((env) => start(run, env)))))
      for (const run of runs) start(run, { PGBOSUN_WRITE_CODE_CACHE: join(folder, run.cache) })
    })
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: Buffer }
    console.error(`warning: the warm-up run failed: ${stderr?.toString().trim() || message}`)
  }
  if (!caches.every((file) => existsSync(join(folder, file)))) {
    console.error('warning: there is no code cache, so the program will start more slowly')
    execFileSync(process.execPath, [program, '--version'], { env: cleanEnv() })
  }
}

const caches = ['up.cache', 'migrate.cache', 'help.cache']

async function withRuns(start: (run: Omit<Run, 'cache'>) => unknown, use: (runs: Run[]) => void): Promise<void> {
  const help = { cache: 'help.cache', command: ['--help'], env: cleanEnv() }
  const binDir = findServerBinaries()[0]
  if (binDir === undefined)
    return use([
      {
        cache: 'up.cache',
        command: ['config', 'show', ...sampleArgs],
        env: sampleEnv('postgres://127.0.0.1/postgres'),
      },
      { cache: 'migrate.cache', command: ['wait', '--help'], env: cleanEnv() },
      help,
    ])
  await withSampleServer(binDir, (url) => {
    const up = { cache: 'up.cache', command: ['up', ...sampleArgs], env: sampleEnv(url) }
    const migrate = { cache: 'migrate.cache', command: ['migrate', 'up'], env: { ...cleanEnv(), DATABASE_URL: url } }
    start(up)
    use([up, migrate, help])
  })
}

type Coverage = { result: { url: string; functions: { functionName: string; ranges: { count: number }[] }[] }[] }

/** The names of the parts of `main.js` that a run calls, from what V8 counts. */
function usedParts(run: (env: Record<string, string>) => void): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'pgbosun-coverage-'))
  try {
    run({ NODE_V8_COVERAGE: folder })
    return readdirSync(folder).flatMap((file) => {
      const { result } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Coverage
      const main = result.filter(({ url }) => url.endsWith('/main.js')).flatMap(({ functions }) => functions)
      return main.filter(isCalledPart).map(({ functionName }) => functionName)
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const isCalledPart = ({ functionName, ranges }: Coverage['result'][number]['functions'][number]) =>
  functionName.startsWith('./') && ranges[0]!.count > 0

async function withSampleServer(binDir: string, use: (url: string) => unknown): Promise<void> {
  const server = await startServer(binDir, { settings: ['fsync=off'] })
  try {
    await use(server.url('games'))
  } finally {
    await server.remove()
  }
}
