/** The run at build time that the code cache is taken after. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cleanEnv, sampleArgs, sampleEnv } from './sample.ts'
import { findServerBinaries, startServer } from './server.ts'

/**
 * Runs the built program once and keeps what V8 compiled. With a PostgreSQL server on this machine it is a whole `up`,
 * otherwise what works without one. A build without a cache works too, it only starts slower.
 */
export async function writeCodeCache(program: string, cacheFile: string): Promise<void> {
  const run = (command: string[], env: NodeJS.ProcessEnv) =>
    execFileSync(process.execPath, [program, ...command], {
      env: { ...env, PGBOSUN_WRITE_CODE_CACHE: cacheFile },
      stdio: 'pipe',
    })
  const binDir = findServerBinaries()[0]
  try {
    if (binDir === undefined) run(['config', 'show', ...sampleArgs], sampleEnv('postgres://127.0.0.1/postgres'))
    else await withSampleServer(binDir, (url) => run(['up', ...sampleArgs], sampleEnv(url)))
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: Buffer }
    console.error(`warning: the warm-up run failed: ${stderr?.toString().trim() || message}`)
  }
  if (!existsSync(cacheFile)) {
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
