import { ofSchedule } from '../check/backups.ts'
import type { BackupState, ScheduleState } from './state.ts'

/** Before anything is known of a schedule. */
export const noSchedule = (name: string): ScheduleState => ({
  name,
  running: false,
  ...{ lastSuccessAt: null, lastSuccessId: null, lastAttemptAt: null },
  ...{ lastError: null, retryAt: null, nextRunAt: null, slots: [], overdue: null },
})

/**
 * Says of a database what is known of its schedules: the first error, the last attempt, the next run. That the only schedule is overdue is
 * said of the database, too; where they have names, it is said of each.
 */
export function sumUp(backup: BackupState): void {
  const { schedules = [] } = backup
  const failed = schedules.find(({ lastError }) => lastError !== null)
  backup.running = schedules.some(({ running }) => running)
  backup.lastAttemptAt = instants(schedules.map(({ lastAttemptAt }) => lastAttemptAt)).at(-1) ?? null
  backup.nextRunAt = instants(schedules.map(({ nextRunAt }) => nextRunAt))[0] ?? null
  backup.lastError = failed ? ofSchedule(failed.name, failed.lastError!) : null
  const [only] = schedules
  if (only?.name !== '') return
  // the age of the newest tells it first
  const since = backup.overdue === null ? { 'backup-overdue': only.since?.['backup-overdue'] } : {}
  backup.since = { ...backup.since, ...since }
  backup.overdue ??= only.overdue
}

/** In the order of time: they are all in UTC. */
const instants = (texts: (string | null)[]) => texts.filter((text) => text !== null).sort()
