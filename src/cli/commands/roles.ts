import { usage } from '../../errors.ts'
import { adminScript } from '../../roles/admin-script.ts'
import { desiredRoles } from '../../roles/desired.ts'
import { expandedConfig } from '../../roles/expanded.ts'
import type { Result } from '../../run/context.ts'
import { withRun } from '../../run/run.ts'
import { createStory, jsonSteps } from '../../run/story.ts'
import { plural, someOf } from '../../units.ts'
import { planForAdmin } from '../../up/roles/administrator.ts'
import { readDeclared } from '../../up/roles/declared.ts'
import { ensure, grant } from '../../up/roles/ensure.ts'
import { plannedDrift, refuseDrift } from '../../up/roles/read-drift.ts'
import { withStory } from '../../up/with-story.ts'
import { lockFlags } from '../args.ts'
import type { Command, CommandContext } from '../command.ts'
import { tuneForRows } from '../v8.ts'

const exits: Command['exits'] = {
  unreachable: 'no connection within wait.timeout, or the connection was lost',
  locked: 'the run lock was held for too long',
  refused: 'credentials, or a privilege is missing',
}

/** `roles plan`: shows what would be changed, and changes nothing. */
export const rolesPlan: Command = {
  name: 'roles plan',
  flags: {
    'exit-code': { type: 'boolean', help: 'Exit 3 when something would be changed.' },
    'for-admin': {
      type: 'boolean',
      help: 'Print what this login may not do, as a script for psql that an administrator runs.',
    },
    expanded: {
      type: 'boolean',
      help: 'Instead, print the declared roles and databases as YAML, with presets and defaults spelled out.',
    },
  },
  exits: { ...exits, pending: 'with --exit-code: something would be changed' },
  run: (context) => {
    const { flags } = context
    if (flags['for-admin'] === true) return planScript(context)
    return flags.expanded === true ? expand(context) : plan(context)
  },
}

/** `roles apply`: makes databases, roles and privileges what is declared. */
export const rolesApply: Command = {
  name: 'roles apply',
  flags: {
    'dry-run': { type: 'boolean', help: 'Show what would be changed, and stop.' },
    'accept-revokes': {
      type: 'boolean',
      help: 'With manage.privileges: strict, roles that the file does not name may lose their privileges.',
    },
    ...lockFlags,
  },
  exits: { ...exits, roles: 'something still differs after applying' },
  run: (context) => (context.flags['dry-run'] === true ? plan(context) : apply(context)),
}

async function plan(context: CommandContext): Promise<Result> {
  tuneForRows()
  const declared = await readDeclared(context)
  const story = createStory(['ensure', 'grant'], context.out, { planning: true })
  await withRun(context, { locks: 'none', mayBeMissing: true }, async (run) => {
    story.reset()
    const { ensure, grant, absent } = await plannedDrift(run, declared)
    await story.step('ensure', async (show) => show(ensure))
    if (absent.length > 0) story.defer('grant', `after ${someOf(absent)} ${plural(absent.length, 'is', 'are')} created`)
    else await story.step('grant', async (show) => show(grant))
  })
  const pending = story.changes().length > 0
  return {
    fields: { steps: jsonSteps(story.steps) },
    exitCode: pending && context.flags['exit-code'] === true ? 3 : 0,
  }
}

/** What the file stands for depends on the version of the server, and on nothing else there. */
async function expand(context: CommandContext): Promise<Result> {
  const desired = desiredRoles(context.loaded.config)
  const expanded = await withRun(context, { locks: 'none', mayBeMissing: true }, async ({ cluster }) =>
    expandedConfig(desired, Math.floor(cluster.serverVersion / 10_000)),
  )
  const { stringify } = await import('yaml')
  const text = stringify(expanded, { aliasDuplicateObjects: false, blockQuote: false, lineWidth: 0 })
  context.out.print(text.trimEnd().split('\n'))
  return { fields: { expanded } }
}

/** The script, and nothing else, on stdout. */
async function planScript(context: CommandContext): Promise<Result> {
  if (context.flags.expanded === true)
    throw usage('--for-admin and --expanded exclude each other', { hint: 'give one of them' })
  const declared = await readDeclared(context)
  const found = await withRun(context, { locks: 'none', mayBeMissing: true }, (run) => planForAdmin(run, declared))
  const script = adminScript(found.statements, { user: found.user, place: context.loaded.config.lock.database })
  context.out.print(script)
  const statements = found.statements.map(({ database, sql, reason }) => ({ database, sql, reason }))
  return {
    fields: { for_admin: { script: `${script.join('\n')}\n`, statements } },
    exitCode: statements.length > 0 && context.flags['exit-code'] === true ? 3 : 0,
  }
}

async function apply(context: CommandContext): Promise<Result> {
  tuneForRows()
  const read = await readDeclared(context)
  const declared = read && { ...read, acceptRevokes: context.flags['accept-revokes'] === true }
  const story = createStory(['ensure', 'grant'], context.out)
  await withStory(context, story, { locks: 'everything', mayBeMissing: true }, async (run, journal) => {
    await story.step('ensure', async (show) => {
      if (declared) await ensure(run, declared, show, journal)
    })
    await run.releaseCluster()
    await story.step('grant', async (show) => {
      if (declared) await grant(run, declared, show, journal)
      if (declared && story.changes().length > 0) await refuseDrift(run, declared)
    })
  })
  return { fields: { steps: jsonSteps(story.steps) } }
}
