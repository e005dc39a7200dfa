import { AppError } from '../errors.ts'
import { databaseArgument, type Ended, howEnded, startTool, type Tool, type ToolOptions } from '../programs/child.ts'
import type { Tools } from '../programs/pgtools.ts'
import { type Packed, pack } from '../store/pack.ts'
import { inSteps } from '../store/steps.ts'
import type { Upload } from '../store/store.ts'
import { type Decoding, decodingDump, decodingGlobals } from './decoding.ts'
import { type TablesProgress, watchTables } from './tables.ts'

/** How long pg_dump waits for a table that somebody has locked exclusively. */
export const lockWaitMs = 300_000

export type DumpOptions = Required<Pick<ToolOptions, 'connection' | 'applicationName' | 'settings'>> & {
  database: string
  tools: Tools
  /** For whom it is encrypted; nobody: it is not. */
  recipients: readonly string[]
  /** Whether the passwords of roles are dumped. */
  passwords: boolean
  signal: AbortSignal
}

/**
 * Dumps a database, in the format `custom` without pg_dump's own compression, into an upload. The upload is left open.
 * Only the exit status of pg_dump tells whether the dump is complete: its output also ends when it is killed. What is encrypted is decoded
 * on its way, because nobody here can do so later.
 *
 * @param snapshot exported by another session, which keeps it until this is done
 * @throws {AppError} `backup` with the message of pg_dump; `corrupt` if what it wrote cannot be decoded
 */
export const dumpDatabase = async (
  snapshot: string,
  upload: Upload,
  options: DumpOptions & {
    /** Arguments that leave something out. */
    exclude: readonly string[]
    onBytes: (plainBytes: number, tables: TablesProgress | undefined) => void
  },
): Promise<Packed> => {
  const watch = watchTables()
  const args = [
    '-Fc',
    '-Z0',
    '-w',
    `--lock-wait-timeout=${lockWaitMs}`,
    `--snapshot=${snapshot}`,
    ...options.exclude,
    `--dbname=${databaseArgument(options.database)}`,
  ]
  await options.connection?.fresh?.()
  const tool = startTool(options.tools, 'pg_dump', args, options)
  const onStep = watch.push
  const onBytes = (bytes: number) => options.onBytes(bytes, watch.state())
  return packOutput(tool, upload, { ...options, onStep, onBytes }, () => decodingDump(options.tools))
}

/** Dumps the roles with their settings and memberships, without tablespaces, as SQL into an upload. */
export const dumpGlobals = async (upload: Upload, options: DumpOptions): Promise<Packed> => {
  await options.connection?.fresh?.()
  // Without a database, pg_dumpall connects to postgres or template1, which this role may be kept out of.
  const own = `--database=${databaseArgument(options.database)}`
  const without = options.passwords ? [] : ['--no-role-passwords']
  const args = ['--globals-only', ...without, '--no-tablespaces', '-w', own]
  return packOutput(startTool(options.tools, 'pg_dumpall', args, options), upload, options, decodingGlobals)
}

type PackingOptions = Pick<DumpOptions, 'signal' | 'recipients'> & {
  onBytes?: (bytes: number) => void
  /** Called with what the program wrote, before that is stored. */
  onStep?: (step: Buffer) => void
}

async function packOutput(
  tool: Tool,
  upload: Upload,
  { signal, onBytes, onStep, recipients }: PackingOptions,
  startDecoding: () => Decoding,
): Promise<Packed> {
  const decoding = recipients.length > 0 ? startDecoding() : undefined
  const stop = () => {
    void tool.kill()
    void decoding?.kill()
  }
  signal.addEventListener('abort', stop)
  try {
    tool.stdin.end()
    const output = seen(inSteps(tool.stdout), onStep)
    const packed = await pack(decoding ? decoding.through(output) : output, upload, { recipients, onBytes })
    const ended = await tool.ended
    if (ended.code !== 0) throw toolFailed(tool, ended)
    await decoding?.end()
    return packed
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    signal.removeEventListener('abort', stop)
    await tool.kill()
    await decoding?.kill()
  }
}

async function* seen(output: AsyncIterable<Buffer>, onStep: PackingOptions['onStep']): AsyncGenerator<Buffer> {
  for await (const step of output) {
    onStep?.(step)
    yield step
  }
}

/** Exit 60: a client program failed, with what it wrote to stderr. */
export function toolFailed({ name }: Pick<Tool, 'name'>, ended: Ended): AppError {
  const { stderr } = ended
  const { how, hint } = howEnded(ended)
  const said = /(?:error|fatal): .*/i.exec(stderr)?.[0]
  return new AppError('backup', `${name} ${how}${said === undefined ? '' : `: ${said}`}`, {
    reason: ended.signal === null ? 'dump-failed' : undefined,
    hint:
      hint ?? hints.find(([pattern]) => pattern.test(stderr))?.[1] ?? 'see its output below, and the log of the server',
    excerpt: stderr === '' ? undefined : stderr,
  })
}

const hints: [RegExp, string][] = [
  [/due to lock timeout/, 'another session kept a table locked: run it again, or find that session with pg_locks'],
  [
    /server closed the connection|terminating connection|the database system is/,
    'run it again once the server is back',
  ],
  [/permission denied|row-level security/, 'set backup.url to a role that may read everything'],
  [/out of shared memory/, 'raise max_locks_per_transaction on the server'],
]
