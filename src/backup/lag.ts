// pure
import type { Manifest } from '../archive/manifest.ts'
import { AppError } from '../errors.ts'
import { renderDuration } from '../units.ts'

/** What a standby and its primary say of each other. Positions are those of the write-ahead log. */
export type Figures = {
  /** Position of the primary, and its clock then. */
  primary: { lsn: string; at: Date }
  receiveLsn: string | null
  replayLsn: string | null
  /** Whether the standby has replayed everything up to that position of the primary. */
  caughtUp: boolean
  /** When the last transaction that it replayed was committed; undefined if it replayed none since it was started. */
  lastReplayedAt: Date | undefined
  paused: boolean
  /** `hot_standby_feedback` and `max_standby_streaming_delay` of the standby; -1: it waits for ever. */
  feedback: boolean
  delayMs: number
}

export type StandbyEntry = NonNullable<Manifest['standby']>

/**
 * What the manifest says of the standby that is dumped. Where it has replayed everything, nothing is missing, however old the last
 * transaction is: then the instant is the one of the question. Pure.
 *
 * @throws {AppError} `backup` if it is further behind than it may be, or nobody knows how far
 */
export function standbyEntry(figures: Figures, maxLagMs: number): StandbyEntry {
  const { primary, receiveLsn, replayLsn, caughtUp, lastReplayedAt } = figures
  const replayedAt = caughtUp ? primary.at : lastReplayedAt
  const lagMs = replayedAt && Math.max(0, primary.at.getTime() - replayedAt.getTime())
  if (lagMs === undefined || (!caughtUp && lagMs > maxLagMs)) throw tooFarBehind(figures, lagMs, maxLagMs)
  return {
    replayed_at: replayedAt!.toISOString(),
    receive_lsn: receiveLsn,
    replay_lsn: replayLsn,
    lag_ms: lagMs,
  }
}

function tooFarBehind(
  { primary, receiveLsn, replayLsn, paused }: Figures,
  lagMs: number | undefined,
  maxLagMs: number,
) {
  const behind = lagMs === undefined ? 'by an unknown time' : renderDuration(lagMs)
  const limit = maxLagMs === 0 ? 'nothing may be missing' : `backup.maxLag is ${renderDuration(maxLagMs)}`
  return new AppError(
    'backup',
    `the standby that backup.url leads to is ${behind} behind its primary (${limit}): the primary is at ${primary.lsn}, received is ${receiveLsn ?? 'nothing'}, replayed is ${replayLsn ?? 'nothing'}`,
    {
      reason: 'standby-behind',
      hint: paused
        ? 'its replay is paused: `select pg_catalog.pg_wal_replay_resume();` on the standby'
        : 'look at pg_catalog.pg_stat_wal_receiver on the standby, raise backup.maxLag, or set backup.url to the primary',
    },
  )
}

/** What to set so that a dump is not cancelled. */
export const againstConflicts =
  'set hot_standby_feedback = on or max_standby_streaming_delay = -1 on the standby, or set backup.url to the primary'

/** Why the standby may cancel a dump that takes as long as it may; undefined if it does not. */
export const conflictWarning = ({ feedback, delayMs }: Figures, timeoutMs: number): string | undefined =>
  feedback || delayMs === -1 || delayMs >= timeoutMs
    ? undefined
    : `the standby cancels a dump that is in the way of changes of the primary for longer than ${renderDuration(delayMs)} (max_standby_streaming_delay): ${againstConflicts}`
