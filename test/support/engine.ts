import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GenericContainer, Network, type StartedNetwork, type StartedTestContainer, Wait } from 'testcontainers'
import { test as base } from 'vitest'
import { label, labelValue, withReadableDir } from './docker.ts'
import { uniqueName } from './postgres.ts'
import { makeCertificate } from './tls.ts'

export type Postgres = {
  container: StartedTestContainer
  network: string
  /** URL of a database as the superuser, for containers on `network`. */
  url(database: string): string
  /** What psql prints, bare. */
  query(database: string, text: string): Promise<string>
}

const password = 'p@ss:w/ord'

async function startPostgres(network: StartedNetwork): Promise<Postgres> {
  const container = await new GenericContainer('docker.io/library/postgres:17-trixie')
    .withNetwork(network)
    .withNetworkAliases('db', 'postgres')
    .withExposedPorts(5432)
    .withLabels({ [label]: labelValue() })
    .withEnvironment({ POSTGRES_PASSWORD: password })
    .withTmpFs({ '/var/lib/postgresql/data': 'rw' })
    .withHealthCheck({ test: ['CMD', 'pg_isready', '-h', '127.0.0.1'], interval: 500, retries: 100, timeout: 3000 })
    .withWaitStrategy(Wait.forHealthCheck())
    .start()
  return {
    container,
    network: network.getName(),
    url: (database) => `postgres://postgres:${encodeURIComponent(password)}@db/${database}`,
    async query(database, text) {
      const { output, exitCode } = await container.exec(['psql', '-X', '-U', 'postgres', '-Atqc', text, database])
      if (exitCode !== 0) throw new Error(output)
      return output.trim()
    },
  }
}

/** Switches TLS on in the container, with a certificate for `db`. @returns what to trust */
export async function offerTls({ container, query }: Postgres): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'pgbosun-tls-'))
  try {
    const { key, certificate } = makeCertificate(dir, 'db')
    const data = await query('postgres', 'show data_directory')
    await container.copyContentToContainer(
      [
        [key, 'server.key'],
        [certificate, 'server.crt'],
      ].map(([from = '', name = '']) => ({ content: readFileSync(from), target: `/tls/${name}`, mode: 0o600 })),
    )
    const install = `cp /tls/server.* ${data}/ && chown postgres ${data}/server.*`
    const { exitCode, output } = await container.exec(['sh', '-c', install], { user: 'root' })
    if (exitCode !== 0) throw new Error(output)
    await query('postgres', 'alter system set ssl = on')
    await query('postgres', 'select pg_reload_conf()')
    while ((await query('postgres', 'show ssl')) !== 'on') await sleep(50)
    return readFileSync(certificate, 'utf8')
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

type Fixtures = {
  /** A PostgreSQL container for all tests of the file, called `db` and `postgres` on its network. */
  postgres: Postgres
  /** Name of a new database in it. */
  database: string
  /** A folder that the user of the image may read. */
  dir: string
}

/** `test` with a PostgreSQL container, a database in it and a folder. */
export const test = base.extend<Fixtures>({
  postgres: [
    // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
    async ({}, use) => {
      const network = await new Network().start()
      const postgres = await startPostgres(network)
      await use(postgres)
      await postgres.container.stop()
      await network.stop()
    },
    { scope: 'file' },
  ],
  database: async ({ postgres }, use) => {
    const name = uniqueName('t')
    await postgres.query('postgres', `create database ${name}`)
    await use(name)
  },
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  dir: async ({}, use) => withReadableDir(use),
})
