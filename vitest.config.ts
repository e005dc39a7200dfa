import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/**
 * In CI, what a stalled machine made fail is tried once more; scripts/test names it among what is UNSTABLE all the same.
 * Tests of random moments are not (`neverAgain`), nor those without a server.
 */
const retry = process.env.CI ? 1 : 0

/** About the network, files, HTTP, the store or memory: once is enough, whatever other majors of PostgreSQL are tested. */
const onceOnly = process.env.BOSUN_TEST_AGAIN
  ? [
      ...['backup-faults', 'bad-input-files', 'black-hole', 'compat', 'contract', 'dropped-packets', 'exit'],
      ...['hostile-names', 'large-files', 'last-resort', 'lost-connection', 'many-backups', 'pipes', 'rotation'],
      ...['serve', 'serve-attack', 'take-lock', 'unread', 'wait-for'],
    ].map((name) => `test/${name}.int.test.ts`)
  : []

/** Most tests wait for a program that waits for a server: two at a time keep two cores busy. */
export const workers = Math.min(2, availableParallelism())

export default defineConfig({
  test: {
    maxWorkers: workers,
    maxConcurrency: 12,
    projects: [
      { test: { name: 'unit', include: ['src/**/*.test.ts', 'test/*.test.ts'], exclude: ['test/*.int.test.ts'] } },
      {
        test: {
          name: 'integration',
          include: ['test/**/*.int.test.ts'],
          exclude: ['test/container*.int.test.ts', ...onceOnly],
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
