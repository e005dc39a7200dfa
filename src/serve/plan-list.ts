// pure
import { type BackupState, newBackupState, noRestoreTest, type ScheduleState } from './state.ts'

export type DatabaseList = {
  active: BackupState[]
  /** All that are not backed up any more. */
  allEnded: BackupState[]
  /** What changed. */
  met: BackupState[]
  ended: BackupState[]
}

/**
 * The databases of `serve` after a look at the server. One that is gone stays visible as ended, and nothing about it is overdue or failed;
 * if it comes back, it goes on.
 * @param named those that no pattern but the configuration names: they stay, whatever the server says
 */
export function planList(
  { active, ended }: { active: readonly BackupState[]; ended: readonly BackupState[] },
  chosen: readonly string[],
  named: ReadonlySet<string>,
): DatabaseList {
  const known = new Map([...ended, ...active].map((state) => [state.database, state]))
  const stays = ({ database }: BackupState) => named.has(database) || chosen.includes(database)
  const gone = active.filter((state) => !stays(state)).map(endedState)
  const met = chosen
    .filter((database) => active.every((one) => one.database !== database))
    .map((database) => ({ ...(known.get(database) ?? newBackupState(database)), ended: false }))
  return {
    active: [...active.filter(stays), ...met],
    allEnded: [...ended.filter(({ database }) => !chosen.includes(database)), ...gone],
    met,
    ended: gone,
  }
}

/** What was made of it stays known. */
const endedState = (state: BackupState): BackupState => ({
  ...state,
  ...{ ended: true, lastError: null, storeProblem: null, overdue: null, nextRunAt: null, neverDecrypted: null },
  ...{ running: false, damaged: [], restoreTest: { ...noRestoreTest(), last: state.restoreTest.last } },
  ...{ progress: null, storeEmpty: null, conflicts: [], lacking: undefined, pruneRefused: null },
  ...(state.schedules && { schedules: state.schedules.map(endedSchedule) }),
})

const endedSchedule = (schedule: ScheduleState): ScheduleState => ({
  ...schedule,
  ...{ running: false, lastError: null, retryAt: null, nextRunAt: null, overdue: null },
})
