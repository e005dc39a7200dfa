import { usage } from '../../errors.ts'
import { pairOf } from '../../roles/plan-rotation.ts'
import type { Result } from '../../run/context.ts'
import { withRun } from '../../run/run.ts'
import { createStory, jsonSteps } from '../../run/story.ts'
import { shellWord } from '../../text.ts'
import { type Declared, readDeclared } from '../../up/roles/declared.ts'
import { applyRotation, lookThrice, planRotation, type RotationPlan, type Wanted } from '../../up/roles/rotate-login.ts'
import { withStory } from '../../up/with-story.ts'
import { lockFlags } from '../args.ts'
import type { Command, CommandContext } from '../command.ts'

/** `roles rotate`: gives the idle one of two logins its new password, and closes the other one once nobody uses it any more. */
export const rolesRotate: Command = {
  name: 'roles rotate',
  details:
    'NAME is the group of two declared logins, such as the owner of the database, or one of the two.\n' +
    'The sessions of both are looked at three times within a minute. The new password is the declared one.',
  args: { usage: 'NAME', min: 1, max: 1 },
  flags: {
    idle: {
      type: 'string',
      value: 'LOGIN',
      help: 'The login that the application does not use. Default: what an earlier rotation has noted.',
    },
    finish: {
      type: 'boolean',
      help: 'After the application was switched: take LOGIN and the password from the login that it used before.',
    },
    'dry-run': { type: 'boolean', help: 'Show what would be changed, and stop.' },
    ...lockFlags,
  },
  exits: {
    unreachable: 'no connection within wait.timeout, or the connection was lost',
    locked: 'the run lock was held for too long',
    refused: 'credentials, or a privilege is missing',
    roles:
      'it is not certain that nobody uses the login, or its new password is that of the other one; nothing was changed',
  },
  run: rotate,
}

async function rotate(context: CommandContext): Promise<Result> {
  const { flags, args, out } = context
  const declared = await readDeclared(context)
  if (!declared) throw usage('no roles are declared', { hint: 'declare two users with `preset: app` in one database' })
  const wanted: Wanted = {
    pair: pairOf(declared.desired, args[0]!),
    idle: typeof flags.idle === 'string' ? flags.idle : undefined,
    finish: flags.finish === true,
  }
  const dryRun = flags['dry-run'] === true
  const story = createStory(['rotate'], out, { planning: dryRun })
  // without the lock: other runs need not wait a minute
  const looks = await withRun(context, { locks: 'none' }, async (run) => {
    const found = await lookThrice(run, wanted)
    await planRotation(run, declared, wanted, found)
    return found
  })
  const plan = await (dryRun
    ? withRun(context, { locks: 'none' }, async (run) => {
        const plan = await planRotation(run, declared, wanted, looks)
        await story.step('rotate', async (show) => show(plan.changes))
        return plan
      })
    : withStory(context, story, { locks: 'everything' }, async (run, journal) => {
        const plan = await planRotation(run, declared, wanted, looks)
        await story.step('rotate', async (show) => {
          show(plan.changes)
          await applyRotation(run, plan, wanted, journal)
        })
        return plan
      }))
  if (!dryRun) out.print([nextStep(plan, wanted, declared)])
  return { fields: { group: wanted.pair.group, idle: plan.idle, in_use: plan.other, steps: jsonSteps(story.steps) } }
}

/** What a person does next. */
function nextStep({ idle, other }: RotationPlan, { pair, finish }: Wanted, { desired }: Declared): string {
  if (finish)
    return `${idle} is closed; for the next rotation, write a new password into its secret and run \`pgbosun roles rotate ${shellWord(pair.group)}\``
  const { password } = desired.roles.find(({ name }) => name === idle) ?? {}
  const where =
    password && 'file' in password
      ? ` (${password.file})`
      : password && 'env' in password && typeof password.env === 'string'
        ? ` (${password.env})`
        : ''
  return `switch the application from ${other} to ${idle}, with the password in its secret${where}; then run \`pgbosun roles rotate ${shellWord(pair.group)} --finish\``
}
