import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

// `npm run` puts the Node of the package `node` on the PATH; an editor or a bare `vitest` may bring an older one.
if (Number.parseInt(process.versions.node, 10) < 24)
  throw new Error(`Node 24 is needed, and this is ${process.versions.node}: run \`npm run test:unit\``)

/**
 * In CI, what a stalled machine made fail is tried once more; scripts/test names it among what is UNSTABLE all the same.
 * Tests of random moments are not (`neverAgain`), nor those without a server.
 */
const retry = process.env.CI ? 1 : 0

/** They wait for minutes and deadlines, and seldom need the processor: scripts/test runs them beside the others. */
const waiting = [
  'black-hole',
  'compat-at-once',
  'dropped-packets',
  'hung-login',
  'rotation',
  'serve',
  'serve-databases',
]

/** About the network, files, HTTP, the store, memory or examples: once is enough, whatever other majors of PostgreSQL are tested. */
const onceOnly = [
  ...[
    'backup-faults',
    'bad-input-config',
    'bad-input-connection',
    'bad-input-files',
    'bad-input-tls',
    'json-lines',
    'notify',
    'page',
    'metrics',
    'monitoring',
    'logs',
    'up-command',
    'build',
  ],
  ...[
    'cli',
    'compat',
    'compat-alembic',
    'compat-tools',
    'contract',
    'encrypt',
    'exit',
    'fetch',
    'hostaddr',
    'hostile-names',
    'large-files',
    'last-resort',
    'lost-connection',
    'name-server',
  ],
  ...[
    'many-backups',
    'migrate-command',
    'migrate-folders',
    'passfile',
    'pins',
    'pipes',
    'poker',
    'programs',
    'read-only',
    'readme',
    'secrets',
    'serve-attack',
    'serve-memory',
    'servers',
  ],
  ...[
    'rclone',
    's3',
    's3-faults',
    'service',
    'slots',
    'store-hangs',
    'store-rclone',
    'store-s3',
    'stores',
    'stores-faults',
    'take-lock',
    'tools',
    'unread',
    'wait-for',
  ],
  ...waiting,
]

/** What other majors seldom change: on them, only `--full` runs these. */
const rarely = process.env.BOSUN_TEST_FULL
  ? []
  : [
      ...['adopt', 'backup-databases', 'backup-exclude', 'backup-progress', 'backup-standby', 'crash', 'lock-out'],
      ...['migrate-traps', 'newer-client', 'rehearse', 'repair', 'restore-elsewhere', 'restore-faults'],
      ...[
        'restore-parts',
        'shadow',
        'store-place',
        'swap-edges',
        'swap-hostile',
        'swap-replicas',
        'prune',
        'clock',
        'store',
        'config',
      ],
      ...[
        'url-settings',
        'bad-input-names',
        'bad-input-secrets',
        'backup-tls',
        'detect',
        'migrate-files',
        'web-app',
        'bank',
        'space-trader',
      ],
      ...[
        'migrate-several',
        'strangers',
        'restore-test',
        'backup-first',
        'pooler',
        'concurrency',
        'migrate-concurrent',
      ],
      ...['migrate-kill', 'migrate-lost', 'lock', 'baseline', 'catalog', 'store-readings', 'formats', 'format-dbmate'],
      ...[
        'format-flyway',
        'format-golang-migrate',
        'format-goose',
        'format-graphile-migrate',
        'format-node-pg-migrate',
      ],
      ...[
        'format-sqlx',
        'import',
        'round-trips',
        'login-warnings',
        'stores-faults',
        'reviewed-plan',
        'init-postgres',
        'roles-strict',
        'roles-expanded',
        'roles-rotate',
        'plaintext',
        'seed-rows',
        'check-access',
      ],
    ]

/** Files of tests by name; a name that is none fails here, not by leaving nothing out. */
const files = (...names: string[]) =>
  names.map((name) => {
    const file = `test/${name}.int.test.ts`
    if (!existsSync(join(import.meta.dirname, file)))
      throw new Error(`vitest.config.ts names ${file}, which is not there`)
    return file
  })

/** What `BOSUN_TEST_PART` says of the integration tests; all of them by default. */
const parts = {
  all: { include: ['test/**/*.int.test.ts'], exclude: [] },
  waiting: { include: files(...waiting), exclude: [] },
  others: { include: ['test/**/*.int.test.ts'], exclude: files(...waiting) },
  /** On another major of PostgreSQL. */
  again: { include: ['test/**/*.int.test.ts'], exclude: files(...onceOnly, ...rarely) },
}
const part = parts[(process.env.BOSUN_TEST_PART ?? 'all') as keyof typeof parts]

/** Most tests wait for a program that waits for a server: two at a time keep two cores busy. */
export const workers = Math.min(2, availableParallelism())

export default defineConfig({
  test: {
    maxWorkers: workers,
    maxConcurrency: 12,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'test/*.test.ts'],
          exclude: ['test/*.int.test.ts'],
          testTimeout: 30_000, // the machine may be busy
        },
      },
      {
        test: {
          name: 'integration',
          include: part.include,
          exclude: ['test/container*.int.test.ts', ...part.exclude],
          globalSetup: ['test/support/global.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          retry,
          expect: { poll: { timeout: 20_000 } },
        },
      },
      {
        test: {
          name: 'container',
          include: ['test/container*.int.test.ts'],
          globalSetup: ['test/support/image.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          retry,
        },
      },
    ],
  },
})
