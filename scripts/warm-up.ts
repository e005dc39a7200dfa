/** The run at build time after which the code cache is written. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cleanEnv, sampleArgs, sampleEnv } from './sample.ts'
import { findServerBinaries, startServer } from './server.ts'

/**
 * Runs the built program and saves what V8 has compiled: `up.cache` after an `up` of the sample, `migrate.cache` after `migrate` without
 * a configuration, both with nothing to do, as most runs are; `help.cache` after `--help`. If this machine has no PostgreSQL server, they
 * are saved after whatever works without one. A build without a cache works too, but starts more slowly.
 */
export async function writeCodeCaches(program: string): Promise<void> {
  const [up, migrate, help] = ['up', 'migrate', 'help'].map((name) => join(dirname(program), `${name}.cache`)) as [
    string,
    string,
    string,
  ]
  const run = (command: string[], env: Record<string, string>, cacheFile?: string) =>
    execFileSync(process.execPath, [program, ...command], {
      env: { ...env, ...(cacheFile && { PGBOSUN_WRITE_CODE_CACHE: cacheFile }) },
      stdio: 'pipe',
    })
  const binDir = findServerBinaries()[0]
  try {
    run(['--help'], cleanEnv(), help)
    if (binDir === undefined) {
      run(['config', 'show', ...sampleArgs], sampleEnv('postgres://127.0.0.1/postgres'), up)
      run(['wait', '--help'], cleanEnv(), migrate)
    } else {
      await withSampleServer(binDir, (url) => {
        run(['up', ...sampleArgs], sampleEnv(url))
        run(['up', ...sampleArgs], sampleEnv(url), up)
        run(['migrate', 'up'], { ...cleanEnv(), DATABASE_URL: url }, migrate)
      })
    }
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: Buffer }
    console.error(`warning: the warm-up run failed: ${stderr?.toString().trim() || message}`)
  }
  if (![up, migrate, help].every((file) => existsSync(file))) {
    console.error('warning: there is no code cache, so the program will start more slowly')
    execFileSync(process.execPath, [program, '--version'], { env: cleanEnv() })
  }
}

async function withSampleServer(binDir: string, use: (url: string) => unknown): Promise<void> {
  const server = await startServer(binDir, { settings: ['fsync=off'] })
  try {
    await use(server.url('games'))
  } finally {
    await server.remove()
  }
}
