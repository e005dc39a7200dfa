// pure
import type { Migration } from '../../formats/types.ts'
import type { History } from '../types.ts'
import { type HistoryPolicy, isDone, underBaseline } from './verify.ts'

/** The files that lead to what a database should be according to its history. */
export type Replay = {
  /** In the order in which they are applied to an empty database. */
  files: Migration[]
  /** Names of applied migrations without a file: what they created cannot be recreated. */
  withoutFile: string[]
  /** Names of repeatable migrations that changed since they were applied: what they last created cannot be recreated. */
  changed: string[]
  /** Names of migrations that never ran, but were recorded or are covered by a baseline: the database may lack what they create. */
  onlyRecorded: string[]
}

/** The history of an empty database. */
export const noHistory: History = { applied: [], repeated: [], lastSeq: 0, lastDetail: 0 }

/**
 * Which files are applied according to a history, including those that a baseline stands for and those that were only recorded,
 * but not the pending ones.
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
