import { expect, onTestFinished, test, vi } from 'vitest'
import { silentLog } from '../log.ts'
import { watchDatabaseHealth } from './database-conditions.ts'
import { notReady, type ProbeAnswer, type ServeState } from './state.ts'
import { verdictIn } from './verdict.ts'

const fine: ProbeAnswer = { ok: true, text: 'ok' }

/** What is said of the database after looks of one kind for a minute. */
function after(...looks: ProbeAnswer[]) {
  vi.useFakeTimers({ now: new Date('2026-03-01T12:00:00Z') })
  onTestFinished(() => void vi.useRealTimers())
  const state = { conditions: [], looked: new Set(), backups: [], upWanted: false } as unknown as ServeState
  const look = watchDatabaseHealth(state, silentLog)
  for (const health of looks) {
    look(health)
    vi.advanceTimersByTime(60_000)
    look(health)
  }
  return { verdict: verdictIn(state), conditions: state.conditions.map(({ name, since }) => ({ name, since })) }
}

test('a database that is not reachable for a minute is a condition since the first look that failed', () => {
  expect(after(fine, notReady('unreachable', 'no answer')).conditions).toEqual([
    { name: 'database-unreachable', since: '2026-03-01T12:01:00.000Z' },
  ])
})

test('looks that fail for another reason leave the state unknown, until one succeeds', () => {
  const failed = notReady('failed', 'unexpected: canceling statement due to statement timeout')
  expect(after(fine, failed)).toEqual({
    verdict: {
      verdict: 'UNKNOWN',
      unlooked: ['the database: unexpected: canceling statement due to statement timeout'],
    },
    conditions: [],
  })
  expect(after(fine, failed, fine).verdict.verdict).toBe('SAFE')
})

test.each(['pending', 'history'] as const)('a look that finds migrations %s has seen the database', (kind) => {
  expect(after(fine, notReady(kind, 'one')).verdict.verdict).toBe('SAFE')
})
