import { openCatalog } from '../../archive/catalog.ts'
import { applyPrune, type PruneItem, planPrune } from '../../backup/prune.ts'
import { readSecrets } from '../../config/keys.ts'
import { usage } from '../../errors.ts'
import { ofOneKind } from '../../plan.ts'
import { asAppError } from '../../run/failure.ts'
import { openStore } from '../../store/open.ts'
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
    const plan = await planPrune(catalog, backup, { now, database })

    const said = plan.unreadable.map((problem) => `${problem}; it is kept, but the rules do not count it`)
    for (const warning of ofOneKind(said)) out.warn(warning)
    for (const item of plan.items) out.print(line(item))
    const fields = { backups: plan.items }
    if (dryRun) {
      for (const what of plan.drastic) out.warn(`without --force nothing is deleted: ${what}`)
      out.print(counts(plan.items, 'would be deleted'))
      return { fields }
    }
    try {
      const backups = await applyPrune(catalog, plan, { log, signal, now, force: flags.force === true })
      out.print(counts(backups, 'deleted'))
      return { fields: { backups } }
    } catch (error) {
      return { fields, failure: asAppError(error) }
    }
  },
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
