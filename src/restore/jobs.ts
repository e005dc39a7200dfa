// pure
import { AppError } from '../errors.ts'
import { renderBytes } from '../units.ts'

/** How many connections load a dump, and what a person should know of it. With more than one, the dump is decoded into a file first. */
export type Jobs = { jobs: number; note: string | undefined }

/** From here on, several connections are worth a file by default. */
const worthwhileBytes = 1_000_000_000

/**
 * Decides how many connections load a dump: as many as asked for; otherwise half the processors for more than 1 GB, if there is room for
 * the decoded dump. Pure.
 *
 * @param asked `--jobs`
 * @param proven whether nothing may be loaded before every byte was compared with what was signed
 * @param alone whether only one connection makes sense: the load goes on after failures, or only a part is loaded
 * @throws {AppError} `restore` if there is no room for what was asked for
 */
export function planJobs({
  asked,
  cores,
  alone,
  proven = false,
  dumpBytes,
  place: { folder, freeBytes },
}: {
  asked: number | undefined
  cores: number
  alone: boolean
  proven?: boolean
  dumpBytes: number
  place: { folder: string; freeBytes: number | undefined }
}): Jobs {
  const jobs = asked ?? (alone || dumpBytes < worthwhileBytes ? 1 : Math.max(1, Math.floor(cores / 2)))
  if (jobs === 1 && !proven) return { jobs, note: undefined }
  const size = renderBytes(dumpBytes)
  const short = freeBytes !== undefined && freeBytes < dumpBytes
  const connections = jobs === 1 ? 'one connection' : `${jobs} connections`
  if (!short) return { jobs, note: `${connections}, after ${size} were decoded into ${folder}` }
  const why = `${folder} has ${renderBytes(freeBytes)} free, but the decoded dump has ${size}`
  if (proven)
    throw new AppError(
      'restore',
      `no room to compare the backup with what was signed before code in it runs: ${why}; nothing was changed`,
      { hint: 'set TMPDIR to a folder with more room' },
    )
  if (asked === undefined) return { jobs: 1, note: `one connection: ${why}` }
  throw new AppError('restore', `no room for --jobs ${asked}: ${why}; nothing was changed`, {
    hint: 'set TMPDIR to a folder with more room, or leave out --jobs',
  })
}
