import type { BackupFacts } from '../check/backups.ts'
import type { Health } from '../check/health.ts'
import type { DatabaseBackups, Overview } from '../check/overview.ts'
import type { Context } from '../run/context.ts'
import { shownBackupsOf } from './overview.ts'
import type { Seen } from './read-health.ts'

/** What `status` shows, from what was just found out. */
export function overviewOf(context: Context, health: Health, { migrations, backups }: Seen): Overview {
  const now = new Date()
  return {
    ...{ now, database: context.connection().database, version: context.version },
    ...{ verdict: health.verdict, unlooked: health.unlooked, conditions: health.conditions, closed: [] },
    declared: migrations && { ...migrations, lines: health.lines, events: [] },
    backups: backups.map((fact) => backupsOf(context, fact, now)),
  }
}

function backupsOf({ loaded }: Context, fact: BackupFacts, now: Date): DatabaseBackups {
  const { database, store, unreadable, listed = [], nextRunAt, schedules = [] } = fact
  return shownBackupsOf(
    listed,
    {
      ...{ database, store, unknown: unreadable, running: false },
      nextRunAt: nextRunAt?.toISOString(),
      nextTestAt: undefined,
      series: schedules.map(({ name, slots = [] }) => ({ schedule: name, slots })),
    },
    { policy: loaded.config.backup, now },
  )
}
