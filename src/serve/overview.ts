import type { Backup } from '../archive/backup.ts'
import type { Catalog } from '../archive/catalog-type.ts'
import { ofName } from '../backup/facts.ts'
import type { DatabaseBackups, Overview } from '../check/overview.ts'
import { worstFirst } from '../check/verdict.ts'
import type { Context } from '../run/context.ts'
import { shownBackupsOf } from '../up/overview.ts'
import type { BackupState, ServeState } from './state.ts'
import { verdictIn } from './verdict.ts'

/** So long what is shown of many backups may be used again: why each is kept changes with time, but slowly. */
const freshMs = 600_000

/** Makes what the page shows, from what this process knows: nobody is asked. */
export function createOverview(context: Context, state: ServeState, catalog: Catalog): () => Overview {
  const kept = new Map<string, { key: string; shown: DatabaseBackups }>()
  const backupsOf = (backup: BackupState, now: Date): DatabaseBackups => {
    const { database } = backup
    const { backup: policy } = context.loaded.config
    const backups = ofName(catalog.known(database), policy.name)
    const around = aroundOf(backup, catalog.store.name)
    const key = keyOf(backups, now)
    const known = kept.get(database)
    if (known?.key === key) return { ...known.shown, ...around }
    const shown = shownBackupsOf(backups, around, { policy, now })
    kept.set(database, { key, shown })
    return shown
  }
  return () => {
    const now = new Date()
    const { verdict, unlooked } = verdictIn(state)
    return {
      ...{ now, verdict, unlooked, version: state.version, phase: state.phase },
      database: nameOf(context),
      conditions: worstFirst(state.conditions),
      closed: state.closed ?? [],
      declared: state.declared?.shown,
      backups: state.backups.filter(({ ended }) => !ended).map((backup) => backupsOf(backup, now)),
    }
  }
}

/** Another one for whatever of the backups is shown, and has changed. */
export const keyOf = (backups: readonly Backup[], now: Date): string => {
  const noted = backups.flatMap(({ verification, restoreTest }) => [
    verification?.at.getTime() ?? 0,
    restoreTest?.at.getTime() ?? 0,
  ])
  return JSON.stringify([
    ...[backups.length, backups[0]?.id, backups.at(-1)?.id, noted.reduce((sum, at) => sum + at, 0)],
    ...[
      backups.filter(({ pinned }) => pinned).length,
      backups.reduce((sum, { stores }) => sum + (stores?.length ?? 0), 0),
    ],
    ...[backups.filter(({ problem }) => problem !== undefined).length, Math.floor(now.getTime() / freshMs)],
  ])
}

const aroundOf = (backup: BackupState, store: string) => ({
  ...{ database: backup.database, store, running: backup.running },
  unknown: backup.storeProblem ?? (backup.looked ? undefined : 'the store was not read yet'),
  nextRunAt: backup.nextRunAt ?? undefined,
  nextTestAt: backup.restoreTest.nextRunAt ?? undefined,
  series: (backup.schedules ?? []).map(({ name, slots }) => ({ schedule: name, slots })),
})

/** Where only backups are configured, there is no target. */
function nameOf(context: Context): string {
  const { loaded } = context
  return context.isTarget() ? context.connection().database : loaded.config.backup.name
}
