// pure
import { counted, plural, renderBytes, seconds, someLines } from '../../units.ts'
import type { StrongestLock } from './locks.ts'

/** What a file did in the copy. */
type File = {
  file: string
  alreadyApplied: boolean
  durationMs: number
  transaction: boolean
  locks: StrongestLock[]
  rewritten: { object: string; sizeBytes: number }[]
}

/** So many relations of a file are shown to people; the JSON document has all of them. */
const most = 20

/** One line for the file, and one for each relation that it locked or wrote again. */
export function renderFile({ file, alreadyApplied, durationMs, transaction, locks, rewritten }: File): string[] {
  const notes = [
    ...(alreadyApplied ? [', already applied to the database'] : []),
    ...(transaction ? [] : [', outside a transaction: short locks may be missing']),
  ]
  const modes = new Map(locks.map(({ object, mode }) => [object, mode]))
  const sizes = new Map(rewritten.map(({ object, sizeBytes }) => [object, sizeBytes]))
  const objects = [...new Set([...modes.keys(), ...sizes.keys()])]
  const width = Math.max(0, ...[...modes.values()].map(({ length }) => length))
  const lines = objects.map(
    (object) => `            ${(modes.get(object) ?? '').padEnd(width)}  ${object}${renderSize(sizes.get(object))}`,
  )
  return [`file      ${file}  ${seconds(durationMs)}${notes.join('')}`, ...someLines(lines, most)]
}

const renderSize = (bytes: number | undefined) =>
  bytes === undefined ? '' : bytes === 0 ? ', rewritten (now empty)' : `, rewritten (${renderBytes(bytes)})`

/** The last line. */
export function renderEnd(files: Pick<File, 'alreadyApplied' | 'durationMs'>[], database: string): string {
  const already = files.filter(({ alreadyApplied }) => alreadyApplied).length
  const total = files.reduce((sum, { durationMs }) => sum + durationMs, 0)
  const more = already > 0 ? `; ${already} of them ${plural(already, 'is', 'are')} already applied to ${database}` : ''
  return `done      ${counted(files.length, 'migration')} in ${seconds(total)} on the copy${more}; ${database} was only read`
}

/** A file as the JSON document has it. */
export const fileFields = ({ file, alreadyApplied, durationMs, transaction, locks, rewritten }: File) => ({
  file,
  already_applied: alreadyApplied,
  duration_ms: durationMs,
  transaction,
  locks,
  rewritten: rewritten.map(({ object, sizeBytes }) => ({ object, size_bytes: sizeBytes })),
})
