import { idPattern } from '../../archive/layout.ts'
import { openStore } from '../../archive/open.ts'
import { usage, withReport } from '../../errors.ts'
import type { Result } from '../../run/context.ts'
import { asAppError } from '../../run/failure.ts'
import { nothingToMigrate } from '../../up/migrate.ts'
import type { Rehearsed } from '../../up/rehearse/copy.ts'
import { rehearse } from '../../up/rehearse/rehearse.ts'
import { fileFields, renderEnd, renderFile } from '../../up/rehearse/render.ts'
import { migrateTargets, onlyTarget } from '../../up/targets.ts'
import { testConnection } from '../../up/test-restore.ts'
import type { Command, CommandContext } from '../command.ts'

/** `migrate rehearse`: applies the pending migrations to a restored copy, and tells what they lock, rewrite, and how long they take. */
export const migrateRehearse: Command = {
  name: 'migrate rehearse',
  details:
    'Restores a backup on the server of `backup.verify`, as `backup verify --restore` does, applies the pending files to it, and drops it.\n' +
    'The database itself is only read. For each file: its time on that server, the strongest lock on each table, and the tables that it rewrites.',
  flags: { from: { type: 'string', value: 'ID|latest', help: 'The backup to restore. Required.' } },
  startsAnew: true,
  exits: {
    unreachable: 'no connection to the database or to the server for test restores, or it was lost',
    locked: 'another test restore was running there for too long',
    refused: 'credentials, or the user for test restores lacks a privilege, or has too many',
    migration: 'a file failed in the copy',
    history: 'the files do not match the history of the database or of the backup',
    lint: 'a file has its own BEGIN or COMMIT',
    backup: 'the store cannot be read, there is no pg_restore, or it was killed',
    corrupt: 'the backup is damaged, or could not be restored as it was',
    nobackup: 'no backup matches',
    restore: 'the restore was refused, or the server for it failed',
  },
  async run(context) {
    const from = wanted(context)
    testConnection(context.loaded)
    const targets = await migrateTargets(context, { needed: true })
    const target = onlyTarget(context, targets)
    const store = openStore(context.loaded, context.signal)
    const found: Found = { id: null, database: context.connection().database, server: null, files: [] }
    try {
      const pending = await rehearse(context, {
        ...{ target, store, from },
        onChosen: ({ id }) => {
          found.id = id
        },
        onRestored: (server) => {
          found.server = server
        },
        onFile: (file) => {
          found.files.push(file)
          context.out.print(renderFile(file))
        },
      })
      context.out.print(
        pending
          ? renderEnd(found.files, found.database)
          : `${nothingToMigrate([target])}: no migration is pending, so nothing was restored`,
      )
      return { fields: fieldsOf(found) }
    } catch (error) {
      return failed(context, error, found)
    }
  },
}

type Found = { id: string | null; database: string; server: string | null; files: Rehearsed[] }

const fieldsOf = ({ files, ...found }: Found) => ({ ...found, files: files.map(fileFields) })

const failed = ({ signal }: CommandContext, error: unknown, found: Found): Result => ({
  fields: {},
  failure: withReport(asAppError(signal.aborted ? signal.reason : error), fieldsOf(found)),
})

/** @throws {AppError} `usage` */
function wanted({ flags: { from } }: CommandContext): string | undefined {
  if (typeof from !== 'string')
    throw usage('the backup to rehearse on is missing', { hint: 'add --from latest, or --from ID' })
  if (from === 'latest') return undefined
  if (idPattern.test(from)) return from
  throw usage(`${from} is not the id of a backup`, { hint: 'use an id from `pgbosun backup list`, or latest' })
}
