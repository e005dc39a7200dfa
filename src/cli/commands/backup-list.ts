import { type Backup, readBackups, storedDatabases } from '../../archive/catalog.ts'
import { openStore } from '../../archive/open.ts'
import type { Store } from '../../archive/store.ts'
import { renderBytes } from '../../config/units.ts'
import type { Command } from '../command.ts'

/** `backup list`: everything in the store. */
export const backupList: Command = {
  name: 'backup list',
  summary: 'List the backups in the store, oldest first.',
  flags: {},
  exits: { backup: 'the store cannot be read' },
  async run({ flags, loaded, out }) {
    const store = openStore(loaded.config.backup)
    const only = typeof flags.database === 'string' ? flags.database : undefined
    const found = await allBackups(store, only)
    for (const { id, database, problem } of found)
      if (problem !== undefined) out.warn(`the backup ${id} of ${database} cannot be used: ${problem}`)
    for (const line of table(found.map(columns))) out.print(line)
    if (found.length === 0) out.print(`no backups in ${store.name}`)
    return { fields: { backups: found.map(fields) } }
  },
}

/** The backups of one database or of all, by database, oldest first. */
export async function allBackups(store: Store, database: string | undefined): Promise<Backup[]> {
  const databases = database === undefined ? await storedDatabases(store) : [database]
  return (await Promise.all(databases.map((name) => readBackups(store, name)))).flat()
}

const fields = ({ id, database, startedAt, sizeBytes, verification, problem, manifest }: Backup) => ({
  id,
  database,
  name: manifest?.series.name ?? null,
  started_at: startedAt.toISOString(),
  size_bytes: sizeBytes ?? null,
  verified: verification?.ok ?? false,
  verified_at: verification?.at.toISOString() ?? null,
  pinned: false,
  problem: problem ?? verification?.problem ?? null,
})

const columns = ({ id, database, startedAt, sizeBytes, verification, problem }: Backup) => [
  database,
  id,
  startedAt.toISOString().replace(/\.\d+/, ''),
  sizeBytes === undefined ? '?' : renderBytes(sizeBytes),
  problem !== undefined
    ? 'unreadable'
    : verification === undefined
      ? 'not verified'
      : verification.ok
        ? 'verified'
        : 'DAMAGED',
]

function table(rows: string[][]): string[] {
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]!.length))) ?? []
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  )
}
