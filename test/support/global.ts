import { globSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { findServerBinaries, startServer } from '../../scripts/server.ts'
import { workers } from '../../vitest.config.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** One for each worker: what one test does to a server is nothing that another one sees. */
    servers: {
      port: number
      major: number
      password: string
      adminUrl: string
      /** Folder of the server's programs, to start another one from. */
      binDir: string
      /** What the server logged: no password may ever be in it. */
      logFile: string
    }[]
  }
}

/**
 * One throwaway server for each worker, for the whole run. `BOSUN_TEST_BIN` names the folder of its binaries.
 * Databases are never dropped: on ext4 that slows every later file creation down, by a factor of two.
 */
export default async function setup(project: TestProject) {
  if (isStale()) {
    console.warn('dist/ is older than src/: these tests run the sources. To test what users start: npm run build')
    process.env.BOSUN_TEST_SOURCES = '1'
  }
  const binDir = findServerBinaries()[0]
  if (binDir === undefined) throw new Error('no PostgreSQL server found: run ./scripts/test, which installs one')
  const settings = ['fsync=off', 'max_connections=200', 'log_statement=all']
  const servers = await Promise.all(Array.from({ length: workers }, () => startServer(binDir, { settings })))
  project.provide(
    'servers',
    servers.map((server) => ({
      port: server.port,
      major: server.major,
      password: server.password,
      adminUrl: server.url('postgres'),
      binDir,
      logFile: server.logFile,
    })),
  )
  return async () => {
    for (const server of servers) await server.remove()
  }
}

/** Whether a source is newer than the bundle. */
function isStale(): boolean {
  const root = join(import.meta.dirname, '../..')
  const builtAt = statSync(join(root, 'dist/main.js'), { throwIfNoEntry: false })?.mtimeMs
  const isNewer = (file: string) => statSync(join(root, file)).mtimeMs > (builtAt ?? 0)
  return builtAt !== undefined && globSync('src/**/*.ts', { cwd: root, exclude: ['**/*.test.ts'] }).some(isNewer)
}
