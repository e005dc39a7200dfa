// pure
import type { TocEntry } from '../archive/toc.ts'
import { quoteIdent, quoteName } from '../sql/quote.ts'
import { scan } from '../sql/scan.ts'

/** Kinds of objects with an owner whose full name, with arguments, is taken from the DROP statement. */
const byDrop = new Set(['AGGREGATE', 'FUNCTION', 'PROCEDURE', 'OPERATOR', 'OPERATOR CLASS', 'OPERATOR FAMILY'])

const inSchema = new Set([
  ...['COLLATION', 'CONVERSION', 'DOMAIN', 'FOREIGN TABLE', 'MATERIALIZED VIEW', 'SEQUENCE', 'STATISTICS', 'TABLE'],
  ...['TEXT SEARCH CONFIGURATION', 'TEXT SEARCH DICTIONARY', 'TYPE', 'VIEW'],
])

const alone = new Set([
  ...[
    'EVENT TRIGGER',
    'FOREIGN DATA WRAPPER',
    'PROCEDURAL LANGUAGE',
    'PUBLICATION',
    'SCHEMA',
    'SERVER',
    'SUBSCRIPTION',
  ],
])

/**
 * The statements that give an object of an archive to a role; none for objects without an owner. They are built from names, as
 * pg_restore does, so nothing in a definition can become a statement. Pure.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/bin/pg_dump/pg_backup_archiver.c (_getObjectDescription)
 */
export function ownerStatement(entry: TocEntry, role: string): string[] {
  return objectsOf(entry).map((object) => `alter ${object} owner to ${quoteIdent(role)};`)
}

function objectsOf({ desc, tag, namespace, defn, dropStmt }: TocEntry): string[] {
  if (byDrop.has(desc)) return dropStmt.startsWith('DROP ') ? [dropStmt.slice(5).replace(/[;\n]+$/, '')] : []
  if (inSchema.has(desc)) return [`${desc} ${quoteName(namespace, tag)}`]
  if (alone.has(desc)) return [`${desc} ${quoteIdent(tag)}`]
  if (desc === 'BLOB') return numbersIn(tag)
  if (desc === 'BLOB METADATA') return numbersIn(defn)
  return []
}

const numbersIn = (text: string) => (text.match(/\d+/g) ?? []).map((number) => `LARGE OBJECT ${number}`)

/**
 * The statements that grant the privileges on an object. From version 17 on, those of many large objects are written only once, for one
 * of them. Pure.
 *
 * @param entries all entries, to find those large objects
 */
export function privilegeStatements(entry: TocEntry, entries: readonly TocEntry[]): string[] {
  if (!entry.tag.startsWith('LARGE OBJECTS ')) return [entry.defn]
  const group = entries.find(({ id }) => id === entry.dependencies[0])
  const starts = scan(entry.defn).statements.map(({ start, end }) => entry.defn.slice(start, end))
  return numbersIn(group?.defn ?? '').map((object) =>
    starts.map((text) => `${text.replace(/^([A-Z, ]+ ON )LARGE OBJECT \d+/, `$1${object}`)};`).join('\n'),
  )
}
