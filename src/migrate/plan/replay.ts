// pure
import type { Migration } from '../../formats/types.ts'
import type { History } from '../types.ts'
import { type HistoryPolicy, isDone, underBaseline } from './verify.ts'

/** The files that make what a database should be by its history. */
export type Replay = {
  /** In the order in which an empty database gets them. */
  files: Migration[]
  /** Names of applied migrations that there is no file of: what they made cannot be made again. */
  withoutFile: string[]
  /** Names of repeatable migrations that changed since they were applied: what they made last cannot be made again. */
  changed: string[]
  /** Names of those that were never run, but recorded or covered by a baseline: whether the database has what they make is just the question. */
  onlyRecorded: string[]
}

/** An empty database knows of nothing. */
export const noHistory: History = { applied: [], repeated: [], lastSeq: 0, lastDetail: 0 }

/**
 * Which files were applied according to a history: not the pending ones, but also those that a baseline stands for and those
 * that were only recorded.
 *
 * @param files in the format's order
 */
export function planReplay(files: Migration[], { applied, repeated }: History, policy: HistoryPolicy): Replay {
  const done = applied.filter((row) => isDone(row) && row.status !== 'baseline')
  const [ids, repeatedIds] = [new Set(done.map(({ id }) => id)), new Set(repeated.filter(isDone).map(({ id }) => id))]
  const known = new Set(files.map(({ id }) => id))
  const checksums = new Map(repeated.map(({ id, checksum }) => [id, checksum]))
  return {
    files: files.filter(({ id, kind }) =>
      kind === 'repeatable' ? repeatedIds.has(id) : ids.has(id) || underBaseline(id, applied, policy),
    ),
    withoutFile: [...done, ...repeated].filter(({ id }) => !known.has(id)).map(({ name }) => name),
    changed: files
      .filter(({ id, kind, checksum, accepts }) => {
        const recorded = checksums.get(id)
        return kind === 'repeatable' && recorded && recorded !== checksum && !accepts?.(recorded)
      })
      .map(({ name }) => name),
    onlyRecorded: [
      ...done.filter(({ status }) => status === 'faked').map(({ name }) => name),
      ...files
        .filter(({ id, kind }) => kind === 'versioned' && !ids.has(id) && underBaseline(id, applied, policy))
        .map(({ name }) => name),
    ],
  }
}
