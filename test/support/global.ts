import { existsSync, globSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { findServerBinaries, startServer, temporary } from '../../scripts/server.ts'
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
      /** Its data lie in memory. */
      inMemory: boolean
    }[]
  }
}

/**
 * One throwaway server for each worker, for the whole run. `BOSUN_TEST_BIN` names the folder of its binaries,
 * `BOSUN_TEST_DATA` the one in which the data of all servers lie: memory, where there is enough.
 */
export default async function setup(project: TestProject) {
  if (isStale()) {
    console.warn('dist/ is older than src/: these tests run the sources. To test what users start: npm run build')
    process.env.BOSUN_TEST_SOURCES = '1'
  }
  const binDir = findServerBinaries()[0]
  if (binDir === undefined) throw new Error('no PostgreSQL server found: run ./scripts/test, which installs one')
  process.env.BOSUN_TEST_DATA ??= hasRoom(memory) ? memory : temporary
  const inMemory = isMemory(process.env.BOSUN_TEST_DATA)
  const settings = ['fsync=off', 'full_page_writes=off', 'max_connections=200', 'log_statement=all']
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
      inMemory,
    })),
  )
  return async () => {
    for (const server of servers) await server.remove()
  }
}

/** A folder in memory, on Linux. A new database is 300 files: on ext4 they cost several times as much of the processor. */
const memory = '/dev/shm'
const isMemory = (folder: string) => existsSync(folder) && statfsSync(folder).type === 0x0102_1994

/** Whether the data of a whole run have room in it. */
function hasRoom(folder: string): boolean {
  if (!isMemory(folder)) return false
  const { bavail, bsize } = statfsSync(folder)
  return Math.min(bavail * bsize, process.availableMemory()) > 6 * 1024 ** 3
}

/** Whether a source is newer than the bundle. */
function isStale(): boolean {
  const root = join(import.meta.dirname, '../..')
  const builtAt = statSync(join(root, 'dist/main.js'), { throwIfNoEntry: false })?.mtimeMs
  const isNewer = (file: string) => statSync(join(root, file)).mtimeMs > (builtAt ?? 0)
  return builtAt !== undefined && globSync('src/**/*.ts', { cwd: root, exclude: ['**/*.test.ts'] }).some(isNewer)
}
