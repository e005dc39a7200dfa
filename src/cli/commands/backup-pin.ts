import { unreadError } from '../../archive/copies.ts'
import { openStore } from '../../archive/open.ts'
import { readPinNotes, removePins, writePin } from '../../archive/pin.ts'
import { type AppError, usage } from '../../errors.ts'
import { asAppError } from '../../run/failure.ts'
import type { Store } from '../../store/store.ts'
import type { Command, CommandContext } from '../command.ts'
import { storedBackup } from '../stored-backup.ts'

const exits = { backup: 'the store cannot be read or written to', nobackup: 'there is no such backup' }

/** `backup pin`: a backup stays, whatever `backup.keep` says. */
export const backupPin: Command = {
  name: 'backup pin',
  details: 'A pinned backup is never pruned, until `backup unpin`. It still counts for the rules of `backup.keep`.',
  args: { usage: 'ID', min: 1, max: 1 },
  flags: { note: { type: 'string', value: 'TEXT', help: 'Why, for whoever wonders later; `backup list` shows it.' } },
  startsAnew: true,
  exits,
  async run(context) {
    const { flags, out } = context
    const note = typeof flags.note === 'string' ? flags.note.trim() : ''
    if (note.length > longestNote) throw usage(`--note has ${note.length} characters; at most ${longestNote} are kept`)
    const { store, backup } = await wanted(context)
    // said again, it would only have to be removed twice
    if (note === '' || !(await readPinNotes(store, backup)).includes(note))
      await writePin(store, backup, { note, at: new Date() })
    out.print(`pinned ${backup.id} of ${backup.database}`)
    return { fields: backup, failure: notEverywhere(store, backup.id) }
  },
}

const longestNote = 1000

/** `backup unpin`: the rules decide again. */
export const backupUnpin: Command = {
  name: 'backup unpin',
  details: 'Removes all pins of the backup: from then on `backup.keep` decides about it again.',
  args: { usage: 'ID', min: 1, max: 1 },
  flags: {},
  startsAnew: true,
  exits,
  async run(context) {
    const { store, backup } = await wanted(context)
    const removed = await removePins(store, backup)
    const what = removed === 0 ? 'was not pinned' : 'is no longer pinned'
    context.out.print(`${backup.id} of ${backup.database} ${what}`)
    return { fields: backup, failure: notEverywhere(store, backup.id) }
  },
}

/** Exit 60: a copy in a store that cannot be read is as it was. */
function notEverywhere(store: Store, id: string): AppError | undefined {
  const unread = unreadError(store)
  if (!unread) return undefined
  const { message, hint } = asAppError(unread)
  return asAppError(unread).with({
    message: `a copy of ${id} may be where it could not be changed: ${message}`,
    hint: `${hint ?? 'check that store'}; then run it again`,
  })
}

async function wanted({ args, flags, loaded, signal }: CommandContext) {
  const store = openStore(loaded, signal)
  const only = typeof flags.database === 'string' ? flags.database : undefined
  const { id, database } = await storedBackup(store, args[0]!, only)
  return { store, backup: { id, database } }
}
