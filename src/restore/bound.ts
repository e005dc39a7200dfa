// pure
import type { TocEntry } from '../archive/toc.ts'

/** An extension that is bound to the name of a database, or whose worker acts in every database that has it. */
export type BoundExtension = {
  name: string
  /** What a person has to know before a restore into a database of another name. */
  advice: string
  /** In a test restore: `as is` where it does nothing by itself; `left out` with all its schemas; `refused` where neither is possible. */
  test: 'as is' | 'left out' | 'refused'
  schemas: string[]
}

/** The same table is in docs/backups.md. */
export const boundExtensions: readonly BoundExtension[] = [
  {
    name: 'pg_cron',
    advice: 'it can only be created in the database that cron.database_name names, and its jobs run as soon as it is',
    test: 'left out',
    schemas: ['cron'],
  },
  {
    name: 'timescaledb',
    advice:
      'its workers start in every database that has it; by hand, load between timescaledb_pre_restore() and timescaledb_post_restore()',
    test: 'refused',
    schemas: [],
  },
  {
    name: 'citus',
    advice: 'its worker starts in every database that has it, and contacts the other nodes',
    test: 'refused',
    schemas: [],
  },
  {
    name: 'bdr',
    advice: 'its workers start in every database that has it, and contact the other nodes',
    test: 'refused',
    schemas: [],
  },
  {
    name: 'pglogical',
    advice: 'its workers start in every database that has it, and contact the servers that it replicates from',
    test: 'left out',
    schemas: ['pglogical'],
  },
  {
    name: 'spock',
    advice: 'its workers start in every database that has it, and contact the servers that it replicates from',
    test: 'left out',
    schemas: ['spock'],
  },
  {
    name: 'pg_partman',
    advice: 'its worker only works in the databases that pg_partman_bgw.dbname names',
    test: 'as is',
    schemas: [],
  },
  {
    name: 'pg_net',
    advice: 'its worker only works in the database that pg_net.database_name names',
    test: 'as is',
    schemas: [],
  },
  {
    name: 'pg_squeeze',
    advice: 'its worker only works in the databases that squeeze.worker_autostart names',
    test: 'as is',
    schemas: [],
  },
]

/** Those of some extensions that are bound, in the order of the table. */
export const boundOf = (extensions: readonly { name: string }[]): BoundExtension[] =>
  boundExtensions.filter(({ name }) => extensions.some((extension) => extension.name === name))

/** What to say about a backup before it is restored. */
export const boundWarnings = (extensions: readonly { name: string }[]): string[] =>
  boundOf(extensions).map(({ name, advice }) => `the backup has the extension ${name}: ${advice}`)

/** The entries of an archive without those of some extensions and their schemas. */
export function withoutExtensions(entries: readonly TocEntry[], left: readonly BoundExtension[]): TocEntry[] {
  const names = new Set(left.map(({ name }) => name))
  const schemas = new Set(left.flatMap((extension) => extension.schemas))
  const tags = new Set([
    ...[...names].map((name) => `EXTENSION ${name}`),
    ...[...schemas].map((schema) => `SCHEMA ${schema}`),
  ])
  return entries.filter(
    ({ desc, tag, namespace }) =>
      !(desc === 'EXTENSION' && names.has(tag)) &&
      !(desc === 'SCHEMA' && schemas.has(tag)) &&
      !schemas.has(namespace) &&
      !tags.has(tag),
  )
}
