import type { TestProject } from 'vitest/node'
import { findServerBinaries, startServer } from '../../scripts/server.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    postgres: { port: number; major: number; password: string; adminUrl: string; binDir: string }
  }
}

/**
 * One throwaway server for the whole run. `PGBOSUN_TEST_BIN` names the folder of its binaries.
 * Databases are never dropped: on ext4 that slows every later file creation (facts in docs/decisions).
 */
export default async function setup(project: TestProject) {
  const binDir = process.env.PGBOSUN_TEST_BIN ?? findServerBinaries()[0]
  if (binDir === undefined) throw new Error('no PostgreSQL server found: run ./scripts/test, which installs one')
  const server = await startServer(binDir, { settings: ['fsync=off', 'max_connections=200', 'log_min_messages=log'] })
  project.provide('postgres', {
    port: server.port,
    major: server.major,
    password: server.password,
    adminUrl: server.url('postgres'),
    binDir,
  })
  return () => server.remove()
}
