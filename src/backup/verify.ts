import { type Backup, readBackup, type WholeBackup } from '../archive/backup.ts'
import { dumpName, globalsName, objectKey } from '../archive/layout.ts'
import type { Manifest } from '../archive/manifest.ts'
import { isSealed } from '../archive/seal.ts'
import { recordVerification, type Verification } from '../archive/verification.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { feedTool, howEnded, startTool } from '../programs/child.ts'
import { findReader, type ToolSearch, type Tools } from '../programs/pgtools.ts'
import { unpack } from '../store/pack.ts'
import type { Store } from '../store/store.ts'

type Where = { id: string; database: string }
type Objects = Manifest['objects']

/** Result of a verification, which reads every stored byte, compares every checksum and decodes the whole dump. */
export type Verified = Where & { level: 'decode'; ok: boolean; problem: string | null }

export type VerifyOptions = {
  search: ToolSearch
  signal: AbortSignal
  now: () => Date
  log: Log
  /** Called with what was recorded in the store. */
  onNoted?: (verification: Verification) => void
}

/**
 * Reads a backup back, byte for byte, and records the result next to it.
 *
 * @throws {AppError} `backup` if the store cannot be read, or there is no pg_restore that can decode it: neither says anything about
 *   the backup itself. If the store cannot be written to, it only logs a warning
 */
export async function verifyBackup(
  store: Store,
  backup: Pick<Backup, 'id' | 'database'>,
  options: VerifyOptions,
): Promise<Verified> {
  const whole = await readBackup(store, backup.database, backup.id)
  // somebody has deleted it in the meantime and wants no record of it
  if (!whole) return { ...where(backup), level: 'decode', ok: false, problem: 'it is no longer in the store' }
  const problem = await findProblem(store, whole, options)
  const verified = { ...where(backup), level: 'decode' as const, ok: problem === null, problem }
  try {
    const verification = { at: options.now(), ok: verified.ok, problem }
    await recordVerification(store, backup, verification)
    options.onNoted?.(verification)
  } catch (error) {
    options.log.warn(
      { problem: (error as Error).message },
      'could not record the result of the verification in the store',
    )
  }
  return verified
}

const where = ({ id, database }: Where): Where => ({ id, database })

async function findProblem(
  store: Store,
  { id, database, manifest, problem, text }: WholeBackup,
  { search, signal }: VerifyOptions,
): Promise<string | null> {
  if (!manifest) return problem ?? 'manifest.json cannot be read'
  if (!isSealed(text)) return 'manifest.json was changed after it was written'
  if (manifest.id !== id || manifest.database.name !== database)
    return `manifest.json belongs to the backup ${manifest.id} of ${manifest.database.name}`
  try {
    const tools = await findReader(Number.parseInt(manifest.client_version, 10), search)
    await readBack(store, { id, database }, manifest.objects, { tools, signal })
    return null
  } catch (error) {
    if (error instanceof AppError && error.kind === 'corrupt') return error.message
    throw error
  }
}

/**
 * Reads every object of a backup as it is stored: size, SHA-256, the checksum in the frame, and the archive itself with
 * pg_restore, to its end.
 *
 * @throws {AppError} `corrupt`; `backup` if something ended pg_restore, which says nothing about the backup
 */
export async function readBack(
  store: Store,
  { database, id }: Where,
  objects: Objects,
  { tools, signal }: { tools: Tools; signal: AbortSignal },
): Promise<void> {
  for (const needed of [dumpName, globalsName])
    if (!objects.some(({ name }) => name === needed)) throw corrupt(`${needed} is not in the manifest`)
  for (const object of objects) {
    const content = unpack(store, objectKey(database, id, object.name), object)
    if (object.name === dumpName) await decodeDump(content, tools, signal)
    else if (object.name === globalsName) await decodeGlobals(content, signal)
    else for await (const _ of content) signal.throwIfAborted()
  }
}

async function decodeDump(content: AsyncGenerator<Buffer>, tools: Tools, signal: AbortSignal): Promise<void> {
  const tool = startTool(tools, 'pg_restore', ['-f', '/dev/null'])
  const stop = () => void tool.kill()
  signal.addEventListener('abort', stop)
  try {
    tool.stdout.resume()
    await feedTool(tool, content, { signal })
    const ended = await tool.ended
    signal.throwIfAborted()
    const { how, hint } = howEnded(ended)
    if (ended.signal !== null)
      throw new AppError('backup', `${dumpName} could not be read back: pg_restore ${how}`, { hint })
    if (ended.code !== 0)
      throw corrupt(`pg_restore cannot decode ${dumpName}: ${ended.stderr.split('\n').at(-1) || `it ${how}`}`)
  } finally {
    signal.removeEventListener('abort', stop)
    await tool.kill()
  }
}

async function decodeGlobals(content: AsyncGenerator<Buffer>, signal: AbortSignal): Promise<void> {
  let end = ''
  for await (const chunk of content) {
    signal.throwIfAborted()
    end = (end + chunk.toString('latin1')).slice(-1_000)
  }
  if (!end.includes('PostgreSQL database cluster dump complete')) throw corrupt(`${globalsName} is not complete`)
}

const corrupt = (message: string) =>
  new AppError('corrupt', message, { hint: 'use another backup; `pgbosun backup list` shows them' })
