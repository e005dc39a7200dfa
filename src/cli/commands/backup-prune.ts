import { openCatalog } from '../../archive/catalog.ts'
import { partsOf } from '../../archive/catalog-type.ts'
import { openStore } from '../../archive/open.ts'
import { applyPrune, type PruneItem, type PrunePlan, planPrune } from '../../backup/prune.ts'
import { policyIn } from '../../backup/prune-candidates.ts'
import { readSecrets } from '../../config/keys.ts'
import { storesOf } from '../../config/stores.ts'
import { type AppError, usage } from '../../errors.ts'
import { ofOneKind } from '../../plan.ts'
import type { Context } from '../../run/context.ts'
import { asAppError } from '../../run/failure.ts'
import type { Command } from '../command.ts'

/** `backup prune`: deletes the backups that no rule of `backup.keep` keeps. */
export const backupPrune: Command = {
  name: 'backup prune',
  flags: {
    'dry-run': { type: 'boolean', help: 'Show what would be deleted and what is kept, and stop.' },
    now: {
      type: 'string',
      value: 'INSTANT',
      help: 'With --dry-run: plan as if it were this instant, like 2027-01-01T00:00:00Z.',
    },
    force: { type: 'boolean', help: 'Delete even if that is more than half of the backups of a database.' },
  },
  exits: {
    backup:
      'the store cannot be read or changed, or more than three backups and more than half of a series would be deleted',
  },
  async run({ flags, loaded, out, log, signal }) {
    const dryRun = flags['dry-run'] === true
    const now = pretendedNow(flags.now, dryRun) ?? new Date()
    const { backup } = loaded.config
    const secrets = readSecrets(loaded.config, loaded.env, loaded.baseDir)
    const catalog = openCatalog(openStore(loaded, signal), () => secrets)
    const database = typeof flags.database === 'string' ? flags.database : undefined
    const parts = partsOf(catalog)
    const places = storesOf(backup)
    const backups: Item[] = []
    let failure: AppError | undefined
    for (const [i, part] of parts.entries()) {
      const store = part.store.name
      const policy = policyIn(backup, places[i]!.keep)
      const inStore = (items: PruneItem[]) => items.map((item) => ({ ...item, store }))
      try {
        const plan = await planPrune(part, policy, { now, database })
        if (parts.length > 1) out.print(`store   ${store}`)
        tell(plan, out)
        if (dryRun) for (const what of plan.drastic) out.warn(`without --force nothing is deleted: ${what}`)
        try {
          const options = { log, signal, now, force: flags.force === true }
          backups.push(...inStore(dryRun ? plan.items : await applyPrune(part, plan, options)))
        } catch (error) {
          backups.push(...inStore(plan.items))
          throw error
        }
      } catch (error) {
        if (signal.aborted) throw error
        // one store says nothing about another
        failure ??= asAppError(error)
        if (parts.length > 1) log.error({ store, kind: failure.kind }, asAppError(error).message)
      }
    }
    if (!failure) out.print(counts(backups, dryRun ? 'would be deleted' : 'deleted'))
    return { fields: { backups }, failure }
  },
}

type Item = PruneItem & { store: string }

function tell({ unreadable, items }: PrunePlan, out: Context['out']): void {
  const said = unreadable.map((problem) => `${problem}; it is kept, but the rules do not count it`)
  for (const warning of ofOneKind(said)) out.warn(warning)
  for (const item of items) out.print(line(item))
}

const counts = (items: PruneItem[], deleted: string) => {
  const count = items.filter(({ action }) => action === 'delete').length
  return `${count} ${deleted}, ${items.length - count} kept`
}

const line = ({ id, database, action, reasons }: PruneItem) =>
  `${action.padEnd(6)}  ${database}  ${id}  ${reasons.join('; ')}`

/** A date means 00:00 UTC; a time needs an offset, so that it means one instant. */
const instant = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/

function pretendedNow(text: string | boolean | undefined, dryRun: boolean): Date | undefined {
  if (typeof text !== 'string') return undefined
  if (!dryRun)
    throw usage('--now needs --dry-run', { hint: 'add --dry-run: backups are only ever deleted by the real time' })
  const now = new Date(text)
  if (instant.test(text) && !Number.isNaN(now.getTime())) return now
  throw usage(`--now ${text} is not an instant`, { hint: 'write it like 2027-01-01T00:00:00Z' })
}
