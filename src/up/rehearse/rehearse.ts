import { readBackups } from '../../archive/catalog.ts'
import { fromAnyCopy } from '../../archive/copies.ts'
import { AppError } from '../../errors.ts'
import { chooseFrom } from '../../restore/chosen.ts'
import { renderCompared } from '../../restore/trial/compare.ts'
import { tryBackup } from '../../restore/trial/run.ts'
import type { Context } from '../../run/context.ts'
import { withProgress } from '../../run/progress.ts'
import type { Store } from '../../store/store.ts'
import { megabytes, renderAgo, seconds } from '../../units.ts'
import type { MigrateTarget } from '../target.ts'
import { trialOptions } from '../test-restore.ts'
import { type Rehearsed, rehearseIn } from './copy.ts'
import { type Live, readLive } from './live.ts'

export type RehearsalOptions = {
  target: MigrateTarget
  store: Store
  /** Id of the backup; undefined: the newest. */
  from: string | undefined
  onChosen(backup: { id: string; database: string }): void
  /** @param server in words */
  onRestored(server: string): void
  onFile(file: Rehearsed): void
}

/**
 * Restores a backup as a test restore does, applies the pending migrations to the copy, and drops it, whatever happens. Only reads the
 * live database, and records nothing.
 *
 * @returns whether something was pending; otherwise nothing is restored
 * @throws {AppError} `nobackup`; what a test restore is refused or fails with; `corrupt` if the backup is not what was backed up;
 *   `history`, `migration`, `lint`, `locked` about the files
 */
export async function rehearse(context: Context, options: RehearsalOptions): Promise<boolean> {
  const { target, store, from, onChosen } = options
  const { database: source } = context.connection()
  const { name } = context.loaded.config.backup
  const now = () => new Date()
  const choosing = {
    ...{ source, name, now, out: context.out },
    wanted: { id: from, at: undefined, cluster: undefined, swap: undefined },
  }
  const trial = trialOptions(context)
  const backups = await readBackups(store, source, trial.keys.secrets)
  if (backups.length === 0) chooseFrom(backups, undefined, choosing)
  const live = await readLive(context, target)
  const { backup, notes } = orById(() => chooseFrom(backups, live.systemIdentifier, choosing))
  for (const note of notes) context.out.warn(note)
  const age = renderAgo(now().getTime() - backup.takenAt.getTime())
  onChosen(backup)
  context.out.print(`backup    ${backup.id} of ${backup.database}, taken ${age}`)
  if (live.step.plan.steps.length === 0) return false
  await fromAnyCopy(store, backup, context.out, () =>
    rehearseFrom(context, { live, trial: { ...trial, backup, store } }, options),
  )
  return true
}

type Work = { live: Live; trial: Omit<Parameters<typeof tryBackup>[0], 'onProgress' | 'use'> }

async function rehearseFrom(
  context: Context,
  { live, trial }: Work,
  { onRestored, onFile }: RehearsalOptions,
): Promise<void> {
  const { id } = trial.backup
  const { test } = await withProgress(context, 'MB restored', (onProgress) =>
    tryBackup({
      ...trial,
      what: 'rehearsal',
      onProgress: (done, total) => onProgress(megabytes(done), megabytes(total)),
      async use(copy) {
        onRestored(copy.server)
        context.out.print(
          `restored  in ${seconds(copy.durationMs)} on ${copy.server}: ${renderCompared(copy.compared)}`,
        )
        if (copy.leftOut.includes('policies'))
          context.out.warn(
            `the copy has no policies, because ${copy.server} lacks roles of the backup: files that change policies cannot be rehearsed there`,
          )
        if (copy.partial !== undefined)
          context.out.warn(`the copy is not all of the database: backup.exclude left out ${copy.partial}`)
        await rehearseIn(context, copy, { live, backup: id, onFile })
      },
    }),
  )
  if (test.problem !== null) throw notRestored(id, test.problem)
}

const notRestored = (id: string, problem: string) =>
  new AppError('corrupt', `the backup ${id} could not be restored, so nothing was rehearsed: ${problem}`, {
    hint: `\`pgbosun backup verify ${id} --restore\` records that; rehearse from another backup`,
  })

/** A rehearsal has no other means to choose between backups of several servers. */
function orById<T>(choose: () => T): T {
  try {
    return choose()
  } catch (error) {
    throw error instanceof AppError && error.kind === 'restore'
      ? error.with({ hint: 'give the id of a backup: --from ID' })
      : error
  }
}
