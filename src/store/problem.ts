import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError, type Reason } from '../errors.ts'
import { isDeleted, nearestFolder } from './folders.ts'

type Place = { name: string; root: string }

/** An error of the system while writing to a store, with a hint. Other errors are returned unchanged. */
export async function writeProblem(place: Place, error: unknown): Promise<unknown> {
  return problem(place, error, 'cannot be written')
}

/** The same while reading. */
export async function readProblem(place: Place, error: unknown): Promise<unknown> {
  return problem(place, error, 'cannot be read', 'store-unreadable')
}

async function problem({ name, root }: Place, error: unknown, what: string, reason?: Reason): Promise<unknown> {
  const { code, syscall, path = root } = error as NodeJS.ErrnoException
  if (syscall === undefined || code === undefined) return error
  const { text, hint, reason: known } = await (explanations[code] ?? unexplained)(path, code)
  return new AppError('backup', `${name} ${what}: ${text}`, { reason: known ?? reason, hint, cause: error })
}

type Explain = (path: string, code: string) => Promise<{ text: string; hint: string; reason?: Reason }>

const unexplained: Explain = async (path, code) => ({
  text: `${code} at ${path}`,
  hint: 'check the volume that `backup.store` names',
})

const denied: Explain = async (path) => {
  const [uid, gid] = [process.getuid?.(), process.getgid?.()]
  return {
    text: `permission denied (${await ownerOf(path)}; pgbosun runs as uid ${uid}, gid ${gid})`,
    hint: `chown ${uid}:${gid} that folder; in Kubernetes, set securityContext.fsGroup: ${gid}`,
  }
}

const full: Explain = async (path) => ({
  text: `no space left at ${path}`,
  hint: 'enlarge the volume, or delete backups with `pgbosun backup prune`',
  reason: 'store-full',
})

const notFolder: Explain = async (path) => ({
  text: `${path}, or something above it, is not a folder`,
  hint: 'set `backup.store` to a folder',
})

const gone: Explain = async (path, code) => {
  const folder = await nearestFolder(path)
  if (!(await isDeleted(folder))) return unexplained(path, code)
  return {
    text: `the folder ${folder} was deleted under us`,
    hint: 'make the folder again where it comes from, and mount it again: a container must be started again for that',
  }
}

/** What the system says of a folder that was deleted and is still mounted, where it says anything. */
export const deletedFolder = (path: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT', syscall: 'scandir', path })

const explanations: Record<string, Explain> = {
  EACCES: denied,
  EPERM: denied,
  ENOSPC: full,
  EDQUOT: full,
  ENOTDIR: notFolder,
  EEXIST: notFolder,
  ENOENT: gone,
  EROFS: async (path) => ({
    text: `${path} is on a read-only file system`,
    hint: 'mount the volume read-write, or set `backup.store` to another folder',
  }),
}

/** Owner and mode of the path, or of the nearest folder above it that exists. */
async function ownerOf(path: string): Promise<string> {
  try {
    const { uid, gid, mode } = await stat(path)
    return `${path} belongs to uid ${uid}, gid ${gid}, mode ${(mode & 0o7777).toString(8)}`
  } catch {
    return path === dirname(path) ? path : ownerOf(dirname(path))
  }
}
