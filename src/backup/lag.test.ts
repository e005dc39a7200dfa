import { describe, expect, test } from 'vitest'
import { conflictWarning, type Figures, standbyEntry } from './lag.ts'

const at = new Date('2026-11-30T03:00:00Z')
const secondsBefore = (seconds: number) => new Date(at.getTime() - seconds * 1000)
const figures = (change: Partial<Figures> = {}): Figures => ({
  primary: { lsn: '0/3000060', at },
  receiveLsn: '0/3000060',
  replayLsn: '0/3000000',
  caughtUp: false,
  lastReplayedAt: secondsBefore(60),
  paused: false,
  feedback: false,
  delayMs: 30_000,
  ...change,
})

describe('a standby', () => {
  test('that has replayed everything is not behind, however old the last transaction is', () => {
    for (const lastReplayedAt of [secondsBefore(3 * 86_400), undefined])
      expect(standbyEntry(figures({ caughtUp: true, lastReplayedAt }), 0)).toEqual({
        replayed_at: '2026-11-30T03:00:00.000Z',
        receive_lsn: '0/3000060',
        replay_lsn: '0/3000000',
        lag_ms: 0,
      })
  })

  test('that is behind has what it replayed, up to the limit', () => {
    expect(standbyEntry(figures(), 60_000)).toMatchObject({ replayed_at: '2026-11-30T02:59:00.000Z', lag_ms: 60_000 })
    expect(() => standbyEntry(figures(), 59_000)).toThrow(
      'the standby that backup.url leads to is 1m behind its primary (backup.maxLag is 59s): the primary is at 0/3000060, received is 0/3000060, replayed is 0/3000000',
    )
  })

  test('of which nobody knows how far it is behind is refused', () => {
    expect(() => standbyEntry(figures({ lastReplayedAt: undefined, receiveLsn: null }), 1e12)).toThrow(
      /behind by an unknown time|by an unknown time behind its primary .* received is nothing/,
    )
  })

  test('whose clock of transactions is ahead of the primary’s is not behind by less than nothing', () => {
    expect(standbyEntry(figures({ lastReplayedAt: secondsBefore(-5) }), 0).lag_ms).toBe(0)
  })

  test('whose replay is paused is said to be so', () => {
    const hintOf = (change: Partial<Figures>) => {
      try {
        standbyEntry(figures(change), 0)
      } catch (error) {
        return (error as { hint?: string }).hint
      }
    }
    expect(hintOf({ paused: true })).toContain('pg_wal_replay_resume')
    expect(hintOf({})).toContain('pg_stat_wal_receiver')
  })
})

test.for<[Partial<Figures>, boolean]>([
  [{}, true],
  [{ feedback: true }, false],
  [{ delayMs: -1 }, false],
  [{ delayMs: 60_000 }, false],
  [{ delayMs: 59_999 }, true],
])('a standby that may cancel a dump of a minute is warned of: %o %s', ([change, warned]) => {
  expect(conflictWarning(figures(change), 60_000) !== undefined).toBe(warned)
})
