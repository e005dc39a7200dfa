import { usage } from '../../errors.ts'
import type { Result } from '../../run/context.ts'
import { createStory, jsonSteps } from '../../run/story.ts'
import { someOf } from '../../units.ts'
import { type FirstBackup, firstBackupFields, withFirstBackups } from '../../up/first-backups.ts'
import { migrateAll } from '../../up/migrate-all.ts'
import type { MigrateTarget } from '../../up/target.ts'
import { migrateTargets } from '../../up/targets.ts'
import { withStory } from '../../up/with-story.ts'
import { lockFlags, stepsOf } from '../args.ts'
import type { Command, CommandContext } from '../command.ts'

const shared: Omit<Command, 'name'> = {
  flags: {
    'dry-run': { type: 'boolean', help: 'Show what would be applied, and stop.' },
    to: { type: 'string', value: 'VERSION', help: 'Apply up to this version, inclusive.' },
    steps: { type: 'string', value: 'N', help: 'Apply at most N migrations.' },
    fake: { type: 'boolean', help: 'Record the migrations as applied without running them.' },
    ...lockFlags,
  },
  exits: {
    unreachable: 'no connection within wait.timeout, or the connection was lost',
    locked: 'the run lock or a table was held for too long',
    refused: 'credentials, a missing database or a missing role',
    migration: 'a file failed; what was applied before it stays',
    history: 'the files do not match the history',
    lint: 'a file has its own BEGIN or COMMIT, or breaks a rule that migrate.lint sets to error',
    backup: 'migrate.backupFirst asks for a backup that could not be made; nothing was migrated',
  },
  run,
}

/** `migrate up`. */
export const migrateUp: Command = { name: 'migrate up', ...shared }

/** `migrate` alone. */
export const migrate: Command = { name: 'migrate', ...shared }

function run(context: CommandContext): Promise<Result> {
  return withFirstBackups((backups) => apply(context, backups))
}

async function apply(context: CommandContext, backups: FirstBackup[]): Promise<Result> {
  const { flags, out } = context
  const wanted = wantedOf(context)
  let targets: MigrateTarget[] = []
  const meanwhile = async () => {
    targets = await migrateTargets(context, { needed: true, running: true })
    refuseForSeveral(targets, flags)
  }
  const dryRun = flags['dry-run'] === true
  const story = createStory(['migrate'], out, { planning: dryRun })
  const results = await withStory(context, story, { locks: dryRun ? 'none' : 'target', meanwhile }, (run, journal) =>
    story.step('migrate', (show) =>
      migrateAll(run, { targets, show, journal: dryRun ? undefined : journal, wanted, backups }),
    ),
  )
  return {
    fields: {
      steps: jsonSteps(story.steps),
      results: results.map(({ name, status, durationMs }) => ({ name, status, duration_ms: durationMs })),
      ...firstBackupFields(backups),
    },
  }
}

/** `--to`, `--steps`, `--fake`. @throws {AppError} `usage` */
function wantedOf({ flags }: CommandContext) {
  return {
    to: typeof flags.to === 'string' ? flags.to : undefined,
    steps: stepsOf(flags.steps),
    fake: flags.fake === true,
  }
}

function refuseForSeveral(targets: MigrateTarget[], { to, steps, fake }: CommandContext['flags']): void {
  if (targets.length < 2 || (to === undefined && steps === undefined && fake === undefined)) return
  const names = someOf(targets.map(({ database }) => database ?? 'the target'))
  throw usage(`--to, --steps and --fake work on one database, but ${targets.length} have migrations: ${names}`, {
    hint: 'choose one with --database NAME',
  })
}
