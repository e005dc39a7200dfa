import { AppError } from '../errors.ts'
import type { Change } from '../plan.ts'
import type { Session } from '../postgres/session.ts'
import type { Journal } from '../run/journal.ts'
import type { Run } from '../run/run.ts'
import { type Hold, readHold, endHold as writeEnd } from '../state/hold.ts'
import { counted, plural, someOf } from '../units.ts'
import { inDatabase, type MigrateTarget } from './target.ts'

/**
 * What a restore left to decide: pending migrations are only applied once a person has said so, because one of them may have been the
 * accident. Without any, the run goes on, and says that the hold stands.
 *
 * @param pending names; undefined if only another program knows
 * @returns the change that ends the hold, with `--after-restore`
 * @throws {AppError} `history`
 */
export async function heedHold(
  run: Run,
  target: MigrateTarget,
  session: Session | undefined,
  { pending, planning = false }: { pending: string[] | undefined; planning?: boolean },
): Promise<Change[]> {
  const hold = session && (await readHold(run.reads(session)))
  if (!hold) return []
  const { context } = run
  const name = target.database ?? context.connection().database
  const held = describeHold(hold, name)
  if (context.afterRestore)
    return [{ action: 'end', object: `the hold${inDatabase(target)}`, reason: '--after-restore was given' }]
  if (pending?.length === 0 || planning) {
    context.out.warn(adviceOnHold(hold, name))
    return []
  }
  throw new AppError('history', `${held}, and ${renderPending(pending)}`, {
    hint: 'one of them may have been what the restore undid: take it out of the folder; or apply them with `pgbosun up --after-restore`, or once `pgbosun restore --release` has ended the hold',
    report: { held, pending },
  })
}

const renderPending = (pending: string[] | undefined) =>
  pending === undefined
    ? 'only the migration command knows what is pending'
    : `${counted(pending.length, 'migration')} ${plural(pending.length, 'is', 'are')} pending: ${someOf(pending)}`

/** The hold in words. */
export const describeHold = ({ backup, taken_at }: Hold, database: string) =>
  `${database} is held after a restore: it is that of backup ${backup}, taken ${taken_at}`

/** The hold in words, and how to end it. */
export const adviceOnHold = (hold: Hold, database: string) =>
  `${describeHold(hold, database)}; \`pgbosun restore --release\` ends the hold`

/** Ends the hold, if `changes` says so. */
export async function endHold(changes: Change[], session: Session, journal: Journal): Promise<void> {
  if (changes.length === 0) return
  await journal.beforeChange()
  await writeEnd(session.sql)
}
