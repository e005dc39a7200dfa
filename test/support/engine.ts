import { GenericContainer, Network, type StartedNetwork, type StartedTestContainer, Wait } from 'testcontainers'
import { test as base } from 'vitest'
import { label, labelValue, withReadableDir } from './docker.ts'
import { uniqueName } from './postgres.ts'

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
    .withNetworkAliases('db')
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

type Fixtures = {
  /** A PostgreSQL container for all tests of the file, called `db` on its network. */
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
