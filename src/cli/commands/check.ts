import type { Health } from '../../check/health.ts'
import { renderOverview } from '../../check/overview-text.ts'
import { AppError } from '../../errors.ts'
import type { Result } from '../../run/context.ts'
import { type Run, withRun } from '../../run/run.ts'
import { type Event, readEvents } from '../../state/events.ts'
import { counted } from '../../units.ts'
import { unhealthy } from '../../up/check.ts'
import { overviewOf } from '../../up/overview-now.ts'
import { type Expected, healthWithout, readHealth, type Seen } from '../../up/read-health.ts'
import { type Declared, readDeclaredToLook } from '../../up/roles/declared.ts'
import { mainTarget, migrateTargets, notTarget } from '../../up/targets.ts'
import type { Command, CommandContext } from '../command.ts'

const exits: Command['exits'] = {
  unreachable: 'no connection within wait.timeout',
  refused: 'credentials, TLS or a missing database',
}

/** `check`: whether the database is what is declared. */
export const check: Command = {
  name: 'check',
  details:
    'Compares tables, columns, indexes, foreign keys, migrations, roles, assertions and the age of the backups. Warns of logins that reach further than declared.',
  flags: {},
  startsAnew: true,
  exits: { ...exits, unhealthy: 'an error was found; warnings alone are exit 0' },
  async run(context) {
    const declared = await readDeclaredToLook(context)
    const { health, failure } = await lookAt(context, declared, async (_, found) => found, {
      shadow: context.loaded.config.check.shadow,
      advice: true,
    })
    if (!failure) context.out.print(health.healthy ? 'healthy' : 'unhealthy')
    return {
      fields: health.fields,
      failure: failure ?? (health.healthy ? undefined : unhealthy(health.errors, health)),
    }
  },
}

/** `status`: the state of the database on one screen. */
export const status: Command = {
  name: 'status',
  flags: { events: { type: 'boolean', help: 'Also show the audit trail, newest last.' } },
  exits,
  async run(context) {
    const declared = await readDeclaredToLook(context)
    let events: Event[] | undefined
    const { health, failure } = await lookAt(
      context,
      declared,
      async (run, found) => {
        if (context.flags.events === true) events = await readEvents(run.target!.sql)
        return found
      },
      { overview: true },
    )
    for (const event of events ?? []) context.out.print(renderEvent(event))
    return { fields: { ...health.fields, ...(events && { events }) }, failure }
  },
}

/** Reads and prints the state. Without a connection the document has the same fields, and says so. */
async function lookAt(
  context: CommandContext,
  declared: Declared | undefined,
  use: (run: Run, health: Health) => Promise<Health>,
  { overview = false, ...more }: Pick<Expected, 'shadow' | 'advice'> & { overview?: boolean } = {},
): Promise<{ health: Health; failure: Result['failure'] }> {
  if (!context.isTarget()) notTarget(context)
  const target = mainTarget(await migrateTargets(context))
  let seen: Seen | undefined
  const see = (found: Seen) => {
    seen = found
  }
  const tell = (health: Health) => {
    if (overview && seen) context.out.print(renderOverview(overviewOf(context, health, seen)))
  }
  try {
    const health = await withRun(context, { locks: 'none' }, async (run) =>
      use(run, await readHealth(run, { target, declared, ...more }, see)),
    )
    tell(health)
    for (const line of health.lines) context.out.print(line)
    for (const warning of health.warnings) context.out.warn(warning)
    return { health, failure: undefined }
  } catch (error) {
    if (!(error instanceof AppError) || (error.kind !== 'unreachable' && error.kind !== 'refused')) throw error
    const health = await healthWithout(context, error, see)
    tell(health)
    for (const line of health.lines) context.out.print(line.split('\n'))
    return { health, failure: error }
  }
}

function renderEvent({ at, actor, command, phase, exit_code, changes }: Event): string {
  const result = phase === 'started' ? '' : `  exit ${exit_code}, ${counted(changes ?? 0, 'change')}`
  return `${at}  ${actor}  ${command} ${phase}${result}`
}
