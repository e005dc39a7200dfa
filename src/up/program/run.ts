import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from '../../config/connection.ts'
import { AppError } from '../../errors.ts'
import { connectionLost } from '../../postgres/lost.ts'
import type { Session } from '../../postgres/session.ts'
import { findProgram, type ProgramEnded, programName, startProgram } from '../../programs/program.ts'
import type { Context } from '../../run/context.ts'
import type { Run } from '../../run/run.ts'
import { shellLine } from '../../text.ts'
import { commandEnvironment, commandSessions } from './environment.ts'

const shownLines = 15

type RunOptions = {
  role: string | undefined
  serverVersion: number
  /** How it logs in; default: as we do. */
  connection?: Connection | undefined
  /** Its output is an answer for us, and only shown when it fails. */
  quiet?: boolean
  /** If given, the program is ended when the lock is lost. */
  run?: Run
}

/** Runs a program to its end, with the connection in its environment. @returns what it wrote to stdout, if it was `quiet` */
export async function runToEnd(
  context: Context,
  command: string[],
  { role, serverVersion, connection, quiet = false, run }: RunOptions,
): Promise<{ lines: string[] }> {
  const { loaded, log, signal } = context
  const path = findProgram(command[0]!, { path: loaded.env.PATH, cwd: loaded.baseDir })
  const lines: string[] = []
  const last: string[] = []
  await (connection ?? context.connection()).fresh?.()
  const { env, secrets, remove } = commandEnvironment(context, { role, serverVersion, connection })
  const program = startProgram(path, command.slice(1), {
    env,
    cwd: loaded.baseDir,
    secrets,
    onLine(line, stream) {
      if (quiet && stream === 'stdout') lines.push(line)
      if (line.trim() !== '') last.push(line)
      if (last.length > shownLines) last.shift()
      if (line.trim() !== '' && !quiet) log.info(`${programName(command)}: ${line}`)
    },
  })
  const stop = () => void program.stop()
  let lost = false
  void run?.cluster.lost.then(() => {
    lost = true
    stop()
  })
  signal.addEventListener('abort', stop)
  // a second signal ends this process at once
  process.once('exit', program.kill)
  try {
    if (signal.aborted) stop()
    const ended = await program.ended
    if (signal.aborted) throw signal.reason
    if (lost) throw connectionLost()
    run?.guard()
    if (ended.code !== 0) throw commandFailed(command, ended, last)
    return { lines }
  } finally {
    process.off('exit', program.kill)
    signal.removeEventListener('abort', stop)
    remove()
  }
}

function commandFailed(command: string[], { code, signal }: ProgramEnded, last: string[]): AppError {
  const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`
  const said = last.join('\n')
  const [, kind, hint] = explained.find(([pattern]) => pattern.test(said)) ?? [
    undefined,
    'migration' as const,
    'its last output is above, all of it is in the log; what was applied before stays',
  ]
  return new AppError(kind, `${shellLine(command)} ${how}`, {
    hint,
    ...(said !== '' && { excerpt: said.replace(/^/gm, '  ') }),
  })
}

/** Messages of Alembic, and what they mean. */
const explained: [RegExp, 'history', string][] = [
  [
    /Multiple head(?: revision)?s are present/,
    'history',
    'list them with `alembic heads`, and join them with `alembic merge`',
  ],
  [
    /Can't locate revision identified by/,
    'history',
    'the database is at a revision that these files do not have: deploy the files that have it',
  ],
]

const graceful = 5_000

/** Ends the sessions of a program that a killed run left behind. While we hold the lock, no such program should be running. */
export async function endLeftovers({ log, signal }: Context, sql: Session['sql']): Promise<void> {
  const startedAt = performance.now()
  const where = `datname = pg_catalog.current_database() and application_name ~ '${commandSessions}'`
  for (;;) {
    signal.throwIfAborted()
    const [row] = await sql.unsafe<{ left: number }[]>(
      `select pg_catalog.count(*)::int as left from pg_catalog.pg_stat_activity where ${where}`,
    )
    if (!row?.left) return
    if (performance.now() - startedAt > graceful) {
      log.warn('ending the sessions of a program that a killed run left behind')
      await sql.unsafe(`select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where ${where}`)
    }
    await sleep(200, undefined, { signal })
  }
}

/** Exit 2 before anything is changed, when the program of a target does not exist. */
export const refuseMissingProgram = ({ loaded }: Context, command: string[]): void => {
  findProgram(command[0]!, { path: loaded.env.PATH, cwd: loaded.baseDir })
}
