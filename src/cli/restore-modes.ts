import { openStore } from '../archive/open.ts'
import { resolveConnection } from '../config/resolve.ts'
import { usage, withReport } from '../errors.ts'
import { discard, refuseDiscard } from '../restore/swap/discard.ts'
import { type SwapRunOptions, withLockSession } from '../restore/swap/lock.ts'
import { readReplacedDatabases } from '../restore/swap/replaced.ts'
import { planRollback, type RollbackPlan, rollBack } from '../restore/swap/rollback.ts'
import type { Written } from '../restore/swap/written.ts'
import type { Result } from '../run/context.ts'
import { asAppError } from '../run/failure.ts'
import { createJournal } from '../run/journal.ts'
import { withRun } from '../run/run.ts'
import { endHold, readHold } from '../state/hold.ts'
import { counted, renderAgo, renderBytes } from '../units.ts'
import { describeHold } from '../up/hold.ts'
import { askYes, typeName } from './ask.ts'
import type { CommandContext } from './command.ts'
import { readAllowed, refuseUnnamed } from './restore-flags.ts'

/** `restore --rollback`: the database that was replaced last comes back, and what is live is kept. */
export async function restoreRollback(context: CommandContext): Promise<Result> {
  const { flags, out, signal } = context
  refuseArgument(context, 'rollback')
  const options = optionsOf(context)
  const { name } = options
  refuseUnnamed(context, { terminal: process.stdin.isTTY === true, target: name })
  const allowed = readAllowed(context)
  const report = untouched(name)
  return reporting(report, options, async (world, takeLock) => {
    const plan = await planRollback(world, allowed)
    report.id = plan.back.story.backup
    for (const line of describe(plan, name)) out.print(line)
    if (flags.replace === undefined) await typeName(`Replace ${name}?`, name, signal)
    await takeLock()
    const { kept, waitedMs } = await rollBack(plan, allowed, world)
    out.print([`kept     what it was until now is ${kept}`, `done     ${name} is what it was before the restore`])
    return {
      fields: {
        ...{ ...report, touched: true },
        ...{ replaced: kept, waited_ms: waitedMs, written: plan.written?.map(fieldsOf) ?? null },
      },
    }
  })
}

type Report = { id: string | null; database: string; touched: boolean; rows_compared: number; differences: never[] }

const untouched = (database: string): Report => ({
  id: null,
  database,
  touched: false,
  rows_compared: 0,
  differences: [],
})

/** Like `withLockSession`; every failure is reported with the fields of a result too. */
async function reporting(
  report: Report,
  options: SwapRunOptions,
  use: Parameters<typeof withLockSession<Result>>[1],
): Promise<Result> {
  try {
    return await withLockSession(options, use)
  } catch (error) {
    return { fields: {}, failure: withReport(asAppError(error), report) }
  }
}

function describe({ back, written, consequences }: RollbackPlan, name: string): string[] {
  const age = renderAgo(Date.now() - Date.parse(back.story.replaced_at))
  return [
    `rollback ${back.name} comes back as ${name}; it was replaced ${age}`,
    ...describeWritten(written),
    ...consequences.map((line) => `swap     ${line}`),
  ]
}

function describeWritten(written: Written[] | undefined): string[] {
  if (!written)
    return [
      'written  unknown, as the statistics of the server do not tell; all of it stays in the database that is kept',
    ]
  if (written.length === 0) return ['written  about nothing since the restore']
  return written.map(
    ({ table, inserts, updates, deletes }) =>
      `written  ${table}: about ${inserts ?? 'an unknown number of'} inserts, ${counted(updates, 'update')}, ${counted(deletes, 'delete')} since the restore, which stay only in the database that is kept`,
  )
}

const fieldsOf = ({ table, inserts, updates, deletes }: Written) => ({
  ...{ table, inserts: inserts ?? null, updates, deletes },
})

/** `restore --discard [NAME]`: drops what restores replaced. */
export async function restoreDiscard(context: CommandContext): Promise<Result> {
  const { args, flags, out, signal } = context
  const options = optionsOf(context)
  if (flags.yes !== true && process.stdin.isTTY !== true) throw unconfirmed('--discard drops databases')
  const allowed = readAllowed(context)
  const discarded: string[] = []
  const report = { ...untouched(options.name), discarded }
  return reporting(report, options, async (world, takeLock) => {
    const databases = await toDiscard(world, args[0])
    if (databases.length === 0) {
      out.print(`done     no restore of ${options.name} left a database to drop`)
      return { fields: report }
    }
    await refuseDiscard(databases, world, allowed)
    for (const { name, story, sizeBytes, sessions } of databases)
      out.print(
        `discard  ${name}, ${renderBytes(sizeBytes)}, ${counted(sessions, 'session')}: what ${story.of} was until ${story.replaced_at}`,
      )
    if (flags.yes !== true)
      await askYes(`Drop ${counted(databases.length, 'database')}?`, 'answer y, or pass --yes', signal)
    await takeLock()
    // While somebody was asked, or another run had the lock, much may have changed.
    const now = await toDiscard(world, args[0])
    const still = databases.filter(({ name }) => now.some((one) => one.name === name))
    await refuseDiscard(still, world, allowed)
    await discard(still, world, ({ name }) => discarded.push(name))
    out.print(`done     ${counted(still.length, 'database')} dropped`)
    return { fields: report }
  })
}

async function toDiscard(
  { lock, name }: { lock: { sql: Parameters<typeof readReplacedDatabases>[0] }; name: string },
  only: string | undefined,
) {
  const all = await readReplacedDatabases(lock.sql, name)
  const databases = only === undefined ? all : all.filter((database) => database.name === only)
  if (only !== undefined && databases.length === 0)
    throw usage(`${only} is not a database that a restore of ${name} replaced; nothing was changed`, {
      hint:
        all.length === 0
          ? 'there is none'
          : `there ${all.length === 1 ? 'is' : 'are'}: ${all.map((one) => one.name).join(', ')}`,
    })
  return databases
}

/** `restore --release`: ends the hold of a restored database. */
export async function restoreRelease(context: CommandContext): Promise<Result> {
  const { flags, out, signal } = context
  refuseArgument(context, 'release')
  if (flags.yes !== true && process.stdin.isTTY !== true)
    throw unconfirmed('--release lets pending migrations be applied')
  const { name } = optionsOf(context)
  const fields = untouched(name)
  return withRun(context, { locks: 'target' }, async (run) => {
    const hold = await readHold(run.target!.sql)
    if (!hold) {
      out.print(`done     ${name} is not held`)
      return { fields }
    }
    out.print(`held     ${describeHold(hold, name)}`)
    if (flags.yes !== true) await askYes('Let pending migrations be applied again?', 'answer y, or pass --yes', signal)
    const journal = createJournal(run)
    await journal.beforeChange()
    await endHold(run.target!.sql)
    await journal.finish([{ action: 'end', object: 'the hold', reason: '--release was given' }])
    out.print('done     the next run applies pending migrations')
    return { fields: { ...fields, id: hold.backup, touched: true } }
  })
}

const unconfirmed = (what: string) =>
  usage(`${what}, which needs confirmation, but stdin is not a terminal; nothing was changed`, {
    hint: 'pass --yes to skip the question',
  })

function refuseArgument({ args }: CommandContext, mode: string): void {
  if (args.length > 0)
    throw usage(`--${mode} takes no backup, but ${args[0]} was given; nothing was changed`, { hint: 'leave it out' })
}

function optionsOf({ loaded, flags, runId, command, out, log, signal }: CommandContext): SwapRunOptions {
  const { config, env, baseDir } = loaded
  const connection = resolveConnection(config, env, baseDir)
  return {
    ...{ connection, runId, command, log, signal, warn: out.warn },
    name: typeof flags.database === 'string' ? flags.database : connection.database,
    store: openStore(loaded, signal),
    lock: { database: config.lock.database, timeoutMs: config.lock.timeout },
    wait: { timeoutMs: config.wait.timeout, patient: config.wait.patient },
  }
}
