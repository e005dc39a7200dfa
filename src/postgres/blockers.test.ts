import { describe, expect, test } from 'vitest'
import { type Blocker, describeBlockers, isOwnDump } from './blockers.ts'

const unseen = {
  user: undefined,
  state: undefined,
  stateAgeMs: undefined,
  transactionAgeMs: undefined,
  backendType: undefined,
}
const plain = (pid: number, change: Partial<Blocker> = {}): Blocker => ({ pid, application: '', ...unseen, ...change })
const report = plain(4711, {
  application: 'report',
  user: 'ana',
  state: 'active',
  stateAgeMs: 312_400,
  transactionAgeMs: 312_500,
  backendType: 'client backend',
})

describe('describeBlockers', () => {
  test.for<[string, Blocker[], string | undefined]>([
    ['nobody', [], undefined],
    ['a session', [report], 'blocked by pid 4711 (application "report", user ana, active for 312 s)'],
    [
      'a transaction older than what it does now',
      [{ ...report, state: 'idle in transaction', stateAgeMs: 20_000 }],
      'blocked by pid 4711 (application "report", user ana, idle in transaction for 20 s, in its transaction for 313 s)',
    ],
    [
      'without privileges',
      [plain(5, { application: 'psql', user: 'ana' })],
      'blocked by pid 5 (application "psql", user ana)',
    ],
    ['no name at all', [plain(5)], 'blocked by pid 5'],
    ['a session that has ended', [plain(5), plain(6)], 'blocked by pid 5 and pid 6'],
    ['a prepared transaction', [plain(0)], 'blocked by a prepared transaction (see pg_prepared_xacts)'],
    [
      'a backup of ours',
      [plain(5, { application: 'pgbosun backup 0d9f', user: 'backup' })],
      'blocked by pid 5 (a backup of pgbosun, application "pgbosun backup 0d9f", user backup)',
    ],
    [
      'no client',
      [plain(5, { backendType: 'autovacuum worker', state: 'active', stateAgeMs: 1_000 })],
      'blocked by pid 5 (autovacuum worker, active for 1 s)',
    ],
    ['many', [plain(1), plain(2), plain(3), plain(4), plain(5)], 'blocked by pid 1 and pid 2 and pid 3 and 2 more'],
    [
      'a name made to deceive',
      [plain(5, { application: 'x", user postgres)\u001b[2J\n' })],
      'blocked by pid 5 (application "x?, user postgres)\\u001b[2J\\u000a")',
    ],
    ['a clock that went back', [plain(5, { state: 'active', stateAgeMs: -800 })], 'blocked by pid 5 (active for 0 s)'],
  ])('%s', ([, blockers, text]) => {
    expect(describeBlockers(blockers)).toBe(text)
  })
})

test('a backup of ours is known by its name', () => {
  const names = ['pgbosun backup 0d9f', 'pgbosun 0d9f', 'pg_dump', 'my pgbosun backup x', '']
  expect(names.filter((application) => isOwnDump({ application }))).toEqual(['pgbosun backup 0d9f'])
})
