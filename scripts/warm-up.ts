/** The run at build time after which the code cache is written. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cleanEnv, sampleArgs, sampleEnv } from './sample.ts'
import { findServerBinaries, startServer } from './server.ts'

/**
 * Runs the built program and saves what V8 has compiled: `main.cache` after a complete `up` of the sample, `plain.cache` after `migrate`
 * without a configuration. If this machine has no PostgreSQL server, they are saved after whatever works without one. A build without a
 * cache works too, but starts more slowly.
 */
export async function writeCodeCaches(program: string): Promise<void> {
  const [main, plain] = ['main.cache', 'plain.cache'].map((name) => join(dirname(program), name)) as [string, string]
  const run = (cacheFile: string, command: string[], env: Record<string, string>) =>
    execFileSync(process.execPath, [program, ...command], {
      env: { ...env, PGBOSUN_WRITE_CODE_CACHE: cacheFile },
      stdio: 'pipe',
    })
  const binDir = findServerBinaries()[0]
  try {
    if (binDir === undefined) {
      run(main, ['config', 'show', ...sampleArgs], sampleEnv('postgres://127.0.0.1/postgres'))
      run(plain, ['--help'], cleanEnv())
    } else {
      await withSampleServer(binDir, (url) => {
        run(main, ['up', ...sampleArgs], sampleEnv(url))
        run(plain, ['migrate', 'up'], { ...cleanEnv(), DATABASE_URL: url })
      })
    }
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: Buffer }
    console.error(`warning: the warm-up run failed: ${stderr?.toString().trim() || message}`)
  }
  if (!existsSync(main) || !existsSync(plain)) {
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
