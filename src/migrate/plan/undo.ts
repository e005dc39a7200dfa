// pure
import { usage } from '../../errors.ts'
import type { Applied, Migration, Progress, Script } from '../../formats/types.ts'
import type { History } from '../types.ts'
import { findMigration } from './plan.ts'
import { isUnsendable, planSending, type Sending, type Unsendable } from './sending.ts'
import { changedBeginning, type HistoryPolicy, isDone, keepsBeginning, refuseProblems } from './verify.ts'

/** Which of the applied migrations to undo: the newest `steps`, or all that are newer than `to`. */
export type UndoWanted = { steps?: number | undefined; to?: string | undefined }

/** A migration that will be undone, and why. */
export type UndoStep = {
  file: Migration
  name: string
  down: Script
  sending: Sending | Unsendable
  row: Applied
  /** The migration before it in the format's order. */
  before: Migration | undefined
  resume: Progress | undefined
  reason: string
}

/** What to undo, in this order. */
export type UndoPlan = { steps: UndoStep[]; lastSeq: number; lastDetail: number }

/**
 * Decides what to undo: the newest versions first, whatever the order in which they were applied.
 *
 * @param files in the format's order
 * @throws {AppError} `usage` if there is no migration `to`, or if one of them has no file or no script that undoes it
 */
export function planUndo(files: Migration[], history: History, policy: HistoryPolicy, wanted: UndoWanted): UndoPlan {
  const versioned = files.filter(({ kind }) => kind === 'versioned')
  const newestFirst = history.applied
    .filter((row) => isDone(row) && row.status !== 'baseline')
    .sort((a, b) => policy.compare(b.id, a.id))
  const chosen = choose(newestFirst, policy, wanted)
  return {
    steps: chosen.map((row) => stepFor(row, versioned, policy)),
    lastSeq: history.lastSeq,
    lastDetail: history.lastDetail,
  }
}

function choose(newestFirst: Applied[], { compare }: HistoryPolicy, { steps = 1, to }: UndoWanted): Applied[] {
  if (to === undefined) return newestFirst.slice(0, steps)
  if (to === '0') return newestFirst
  const kept = findMigration(newestFirst, to)
  if (!kept) {
    throw usage(`there is no applied migration ${to}`, {
      hint: 'use a version that `pgbosun migrate status` shows, which will then be the newest, or 0 to undo all',
    })
  }
  return newestFirst.filter(({ id }) => compare(id, kept.id) > 0)
}

function stepFor(row: Applied, files: Migration[], { format, own, neverUndoes }: HistoryPolicy): UndoStep {
  if (neverUndoes)
    throw cannotUndo(
      row.name,
      `the format ${format} has no scripts that undo`,
      'write a new migration that changes it back, or restore a backup',
    )
  const at = files.findIndex(({ id }) => id === row.id)
  const file = files[at]
  if (!file) throw cannotUndo(row.name, 'its file is gone', 'restore the file from version control')
  const down = file.down?.()
  const howToUndo = own ? `write ${file.name}.down.sql` : `add one, in the form that ${format} uses`
  if (!down) throw cannotUndo(row.name, 'there is no script that undoes it', howToUndo)
  const sending = planSending(down, { foreign: !own })
  const outside = !isUnsendable(sending) && sending.mode === 'split' ? `, outside a transaction (${sending.why})` : ''
  const resume = row.progress?.direction === 'down' ? row.progress : undefined
  if (resume && !keepsBeginning(down, sending, resume)) refuseProblems([changedBeginning(row)])
  const why = resume ? `undoing it was interrupted at statement ${resume.done + 1}` : 'is applied'
  return { file, name: row.name, down, sending, row, before: files[at - 1], resume, reason: `${why}${outside}` }
}

const cannotUndo = (name: string, why: string, hint: string) => usage(`${name} cannot be undone: ${why}`, { hint })
