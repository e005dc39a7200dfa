import { type Backup, readBackup, type WholeBackup } from '../archive/backup.ts'
import { AppError } from '../errors.ts'
import { ofOneKind } from '../plan.ts'
import { type Choice, chooseBackup } from './choose.ts'
import type { RestoreOptions } from './options.ts'
import { damaged, notSigned, type Source } from './source.ts'

/** Which backup, and of what. */
export type Choosing = Pick<RestoreOptions, 'source' | 'name' | 'now'> & {
  wanted: Pick<RestoreOptions['wanted'], 'id' | 'at' | 'cluster' | 'swap'>
  out: Pick<RestoreOptions['out'], 'warn'>
}

/** For `latest`, skips backups that cannot be read or did not verify, with a warning. */
export function chooseFrom(
  backups: Backup[],
  own: string | undefined,
  { wanted: { id, at, cluster, swap }, source, name, out, now }: Choosing,
): { backup: Backup; notes: string[] } {
  const unreadable = backups.find((backup) => backup.id === id && backup.problem !== undefined)
  if (unreadable) throw (unreadable.unproven ? notSigned : damaged)(unreadable.id, unreadable.problem!)
  const candidates = backups.flatMap((backup) =>
    backup.series && (id !== undefined || backup.verification?.ok !== false)
      ? [
          {
            id: backup.id,
            series: backup.series,
            started_at: backup.startedAt.toISOString(),
            taken_at: backup.takenAt.toISOString(),
            conflict: backup.conflict,
            backup,
          },
        ]
      : [],
  )
  const skipped = backups.filter(({ problem, verification }) => problem !== undefined || verification?.ok === false)
  const said = skipped.map(
    ({ id, problem, verification }) =>
      `skipping backup ${id}: ${problem ?? verification?.problem ?? 'it did not verify'}`,
  )
  if (id === undefined) for (const warning of ofOneKind(said)) out.warn(warning)
  if (candidates.length === 0 && backups.length > 0)
    throw new AppError('corrupt', `no backup of database ${source} can be read; nothing was changed`, {
      hint: 'see `pgbosun backup list`',
    })
  const { backup, notes }: Choice<{ backup: Backup } & (typeof candidates)[number]> = chooseBackup(candidates, {
    ...{ id, database: source, own, cluster, at, name, now: now(), ownOnly: swap !== undefined },
  })
  return { backup: backup.backup, notes }
}

/** Reads the rest of a backup, which the choice did not need. */
export async function wholeOf({ store, keys }: Source, { database, id }: Backup): Promise<WholeBackup> {
  const whole = await readBackup(store, database, id, keys.secrets)
  if (!whole) throw damaged(id, 'it has been deleted in the meantime')
  return whole
}
