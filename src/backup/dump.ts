import { AppError } from '../errors.ts'
import {
  databaseArgument,
  type Ended,
  livenessArgument,
  startTool,
  type Tool,
  type ToolOptions,
} from '../programs/child.ts'
import type { Tools } from '../programs/pgtools.ts'
import { type Packed, pack } from '../store/pack.ts'
import { inSteps } from '../store/steps.ts'
import type { Upload } from '../store/store.ts'

/** How long pg_dump waits for a table that somebody has locked against reading. */
const lockWaitMs = 300_000

export type DumpOptions = Required<Pick<ToolOptions, 'connection' | 'applicationName' | 'settings'>> & {
  database: string
  tools: Tools
  signal: AbortSignal
}

/**
 * Writes a database, in the format `custom` without compression of its own, into an upload. The upload is left open.
 * It is the exit status of pg_dump that decides whether what was written is a dump: its output also ends when it is killed.
 *
 * @param snapshot what another session exported, and holds until this is done
 * @throws {AppError} `backup` with what pg_dump said
 */
export const dumpDatabase = (
  snapshot: string,
  upload: Upload,
  options: DumpOptions & { onBytes: (plainBytes: number) => void },
): Promise<Packed> => {
  const args = [
    '-Fc',
    '-Z0',
    '-w',
    `--lock-wait-timeout=${lockWaitMs}`,
    `--snapshot=${snapshot}`,
    `--dbname=${databaseArgument(options.database)}`,
  ]
  return packOutput(startTool(options.tools, 'pg_dump', args, options), upload, options)
}

/** Writes the roles with their settings and memberships, without passwords and tablespaces, into an upload, as SQL. */
export const dumpGlobals = (upload: Upload, options: DumpOptions): Promise<Packed> => {
  const args = ['--globals-only', '--no-role-passwords', '--no-tablespaces', '-w', `--dbname=${livenessArgument}`]
  return packOutput(startTool(options.tools, 'pg_dumpall', args, options), upload, options)
}

async function packOutput(
  tool: Tool,
  upload: Upload,
  { signal, onBytes }: { signal: AbortSignal; onBytes?: (plainBytes: number) => void },
): Promise<Packed> {
  const stop = () => void tool.kill()
  signal.addEventListener('abort', stop)
  try {
    tool.stdin.end()
    const packed = await pack(inSteps(tool.stdout), upload, onBytes)
    const ended = await tool.ended
    if (ended.code !== 0) throw toolFailed(tool, ended)
    return packed
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    signal.removeEventListener('abort', stop)
    await tool.kill()
  }
}

/** Exit 60: what a client program said before it failed. */
export function toolFailed({ name }: Pick<Tool, 'name'>, { code, signal, stderr }: Ended): AppError {
  const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`
  const said = /(?:error|fatal): .*/i.exec(stderr)?.[0]
  return new AppError('backup', `${name} ${how}${said === undefined ? '' : `: ${said}`}`, {
    hint: hints.find(([pattern]) => pattern.test(stderr))?.[1] ?? 'what it said is below; the server’s log says more',
    excerpt: stderr === '' ? undefined : stderr,
  })
}

const hints: [RegExp, string][] = [
  [/due to lock timeout/, 'somebody kept a table locked: run it again, or find out who with pg_locks'],
  [
    /server closed the connection|terminating connection|the database system is/,
    'run it again once the server is back',
  ],
  [/permission denied|row-level security/, 'set backup.url to a role that may read everything'],
  [/out of shared memory/, 'raise max_locks_per_transaction on the server'],
]
