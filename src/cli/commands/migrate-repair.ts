import { usage } from '../../errors.ts'
import { planRepair, type Repair, type RepairWanted } from '../../migrate/plan/repair.ts'
import type { Result } from '../../run/context.ts'
import { createStory, jsonSteps } from '../../run/story.ts'
import { planMigrateStep } from '../../up/migrate.ts'
import { applyRepairStep, historyTableOf, repairChanges } from '../../up/repair.ts'
import { migrateTargets, onlyTarget } from '../../up/targets.ts'
import { underNativeLock } from '../../up/under-lock.ts'
import { withStory } from '../../up/with-story.ts'
import { lockFlags } from '../args.ts'
import type { Command, CommandContext } from '../command.ts'

/** `migrate repair`: changes the history to what a person has checked. */
export const migrateRepair: Command = {
  name: 'migrate repair',
  details:
    'It accepts changed files, records what became of a migration that stopped, and forgets one whose file is gone.',
  flags: {
    applied: { type: 'string', value: 'NAME', help: 'This migration did not finish, but all of it took effect.' },
    pending: { type: 'string', value: 'NAME', help: 'This migration did not finish; run it again from the beginning.' },
    forget: { type: 'string', value: 'NAME', help: 'The file of this migration is gone for good.' },
    yes: { type: 'boolean', help: 'Do it. Without --yes, only explain what would be done.' },
    'dry-run': { type: 'boolean', help: 'Only explain what would be done, and exit 0.' },
    ...lockFlags,
  },
  exits: {
    unreachable: 'no connection within wait.timeout, or the connection was lost',
    locked: 'the run lock was held for too long',
    refused: 'credentials, a missing database or a missing privilege',
    history: 'the history cannot be repaired like this; nothing was changed',
  },
  run,
}

async function run(context: CommandContext): Promise<Result> {
  const { flags, out } = context
  const target = onlyTarget(context, await migrateTargets(context, { needed: true }))
  const writes = flags.yes === true && flags['dry-run'] !== true
  const story = createStory(['repair'], out, { planning: !writes })
  const { repairs } = await withStory(context, story, { locks: writes ? 'target' : 'none' }, (run, journal) =>
    story.step('repair', (show) =>
      underNativeLock(run, target, writes ? run.target : undefined, async (run) => {
        // The only target is always the database that the run is about; without it there is no run.
        const look = await planMigrateStep(run.context, target, run.target!.sql, { records: [] })
        const plan = planRepair(
          look.files,
          look.history,
          { policy: look.policy, table: historyTableOf(look) },
          wantedOf(context),
        )
        for (const repair of plan.repairs) explain(context, repair)
        show(repairChanges(look, plan))
        if (writes) await applyRepairStep(run, look, plan, journal)
        return plan
      }),
    ),
  )
  const needsYes = !writes && repairs.length > 0
  return {
    fields: { steps: jsonSteps(story.steps), repairs: repairs.map(jsonRepair), needs_yes: needsYes },
    failure: needsYes && flags['dry-run'] !== true ? notYet(repairs.length) : undefined,
  }
}

const notYet = (count: number) =>
  usage(`${count === 1 ? 'a repair needs' : `${count} repairs need`} --yes; nothing was changed`, {
    hint: 'read what will be written, check what it says to check, then run the same command with --yes',
  })

function wantedOf({ flags }: CommandContext): RepairWanted {
  const named = (flag: string) => (typeof flags[flag] === 'string' ? flags[flag] : undefined)
  return { applied: named('applied'), pending: named('pending'), forget: named('forget') }
}

function explain({ out }: CommandContext, { name, wrong, writes, check }: Repair): void {
  out.print(`${name} ${wrong}`)
  out.print(`  writes  ${writes}`)
  out.print(`  check   ${check}`)
}

const jsonRepair = ({ action, name, wrong, writes, check }: Repair) => ({ action, name, wrong, writes, check })
