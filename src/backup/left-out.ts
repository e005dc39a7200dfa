// pure
import type { Manifest } from '../archive/manifest.ts'
import {
  forPgDump,
  matchesName,
  type NamePattern,
  parseSchemaPattern,
  parseTablePattern,
} from '../config/object-patterns.ts'
import { AppError } from '../errors.ts'
import { isBroken, shown } from '../postgres/bytes.ts'
import { quoteName } from '../sql/quote.ts'
import { visible } from '../text.ts'
import type { Access } from './preflight.ts'

/** `backup.exclude`: names and patterns. */
export type Exclude = { schemas: readonly string[]; tables: readonly string[]; tableData: readonly string[] }

export const excludesSomething = ({ schemas, tables, tableData }: Exclude): boolean =>
  schemas.length + tables.length + tableData.length > 0

/** A schema of a database, without those of the server. */
export type Schema = { oid: number; name: string; quoted: string }

/** A table, view, sequence or the like in such a schema. `quoted` is `schema.name`, each quoted where SQL requires it. */
export type Relation = {
  oid: number
  schema: string
  name: string
  quoted: string
  kind: 'r' | 'p' | 'v' | 'm' | 'f' | 'S'
  /** Partitioned tables and others that it inherits from. */
  parents: number[]
  /** The table that a sequence belongs to; null if to none. */
  owner: number | null
  /** Whether it belongs to an extension, which makes it again. */
  member: boolean
  /** Whether rows of it are backed up although it belongs to an extension. */
  configuration: boolean
}

/** What a backup leaves out. */
export type LeftOut = {
  schemas: Schema[]
  /** Without those in such schemas, and without the sequences of a table. */
  tables: Relation[]
  /** Left out without their rows. */
  tableData: Relation[]
  /** Everything that is not in the backup: also what lies in the schemas, and sequences. */
  gone: ReadonlySet<Relation>
  /**
   * Entries of `tables` and `tableData` that also match a sequence of a table that stays: pg_dump gets the names that they mean, because
   * it would forget what number comes next.
   */
  wide: ReadonlySet<string>
  /** Entries that match nothing, by their key. */
  unmatched: [key: string, entry: string][]
  patterns: Exclude
}

/** Which schemas and tables of a database the entries mean. Whoever inherits from a table that is left out is left out too. */
export function planLeftOut(patterns: Exclude, found: { schemas: Schema[]; relations: Relation[] }): LeftOut {
  const schemas = found.schemas.filter(({ name }) => patterns.schemas.some((entry) => matchesSchema(entry, name)))
  const inSchemas = new Set(schemas.map(({ name }) => name))
  const heirs = heirsIn(found.relations)
  const own = found.relations.filter(({ member }) => !member)
  const meant = (entries: readonly string[]) =>
    heirs(found.relations.filter((one) => isNamed(one) && entries.some((entry) => matchesTable(entry, one))))
  const tooWide = (entries: readonly string[]) => {
    const oids = new Set(meant(entries).map(({ oid }) => oid))
    const stay = found.relations.filter(({ owner }) => owner !== null && !oids.has(owner))
    return entries.filter((entry) => stay.some((sequence) => matchesTable(entry, sequence)))
  }

  const tables = meant(patterns.tables).filter(({ schema, member }) => !inSchemas.has(schema) && !member)
  const without = new Set(tables.map(({ oid }) => oid))
  const gone = new Set(
    own.filter(
      ({ oid, schema, owner }) => inSchemas.has(schema) || without.has(oid) || (owner !== null && without.has(owner)),
    ),
  )
  const tableData = [
    ...meant(patterns.tableData).filter((one) => !gone.has(one)),
    // without its rows it is what the extension makes
    ...meant(patterns.tables).filter(({ member }) => member),
    ...found.relations.filter(({ schema, member, configuration }) => inSchemas.has(schema) && member && configuration),
  ]
  return {
    schemas,
    tables,
    tableData: [...new Set(tableData)].sort((a, b) => (a.quoted < b.quoted ? -1 : 1)),
    gone,
    wide: new Set([...tooWide(patterns.tables), ...tooWide(patterns.tableData)]),
    unmatched: [
      ...unmatched('schemas', patterns.schemas, (entry) => schemas.some(({ name }) => matchesSchema(entry, name))),
      ...(['tables', 'tableData'] as const).flatMap((key) =>
        unmatched(key, patterns[key], (entry) =>
          found.relations.some((one) => isNamed(one) && matchesTable(entry, one)),
        ),
      ),
    ],
    patterns,
  }
}

/** A sequence of a table goes or stays with it; what an extension makes again is not in a backup anyway. */
const isNamed = ({ member, configuration, owner }: Relation) => owner === null && (!member || configuration)

const unmatched = (key: string, entries: readonly string[], matched: (entry: string) => boolean): [string, string][] =>
  entries.filter((entry) => !matched(entry)).map((entry) => [key, entry])

function matchesSchema(entry: string, name: string): boolean {
  const pattern = parseSchemaPattern(entry)
  return pattern !== undefined && matchesName(pattern, name)
}

function matchesTable(entry: string, { schema, name }: Relation): boolean {
  const pattern = parseTablePattern(entry)
  return pattern !== undefined && matchesName(pattern.schema, schema) && matchesName(pattern.name, name)
}

/** Adds partitions and other heirs, of however many levels. */
function heirsIn(relations: readonly Relation[]) {
  const children = new Map<number, Relation[]>()
  for (const relation of relations)
    for (const parent of relation.parents) children.set(parent, [...(children.get(parent) ?? []), relation])
  return (some: readonly Relation[]): Relation[] => {
    const all = new Set(some)
    for (const one of all) for (const child of children.get(one.oid) ?? []) all.add(child)
    return relations.filter((one) => all.has(one))
  }
}

/**
 * Arguments of pg_dump that leave out exactly this. Its patterns stay patterns where that is possible, so that their number does not grow
 * with the tables.
 * @param major of pg_dump: before 16, it has to be told the heirs
 */
export function excludeArguments(
  { patterns, tables, tableData, gone, wide }: LeftOut,
  { major, encoding }: { major: number; encoding: string },
): string[] {
  const andChildren = major >= 16 ? '-and-children' : ''
  const patternsFor = (entries: readonly string[], meant: readonly Relation[]) => {
    const narrow = entries.filter((entry) => !wide.has(entry))
    const isToBeTold = (one: Relation) =>
      !matchesSome(narrow, one) && (major < 16 || one.owner !== null || matchesSome(entries, one))
    return [...narrow.map(tablePattern), ...meant.filter(isToBeTold).map(exactly)]
  }
  const without = new Set(tables.map(({ oid }) => oid))
  const sequences = [...gone].filter(({ owner }) => owner !== null && without.has(owner))
  const args = [
    ...patterns.schemas.map((entry) => `--exclude-schema=${forPgDump(parsed(parseSchemaPattern(entry)))}`),
    ...patternsFor(patterns.tables, [...tables, ...sequences]).map(
      (pattern) => `--exclude-table${andChildren}=${pattern}`,
    ),
    ...patternsFor(patterns.tableData, tableData).map((pattern) => `--exclude-table-data${andChildren}=${pattern}`),
  ]
  // pg_dump takes them to be in the encoding of the database, and ours are in UTF-8
  const converted = encoding !== 'UTF8' && encoding !== 'SQL_ASCII' && args.some((arg) => /[^\0-\x7f]/.test(arg))
  return [...args, ...(converted ? ['--encoding=UTF8'] : [])]
}

const matchesSome = (entries: readonly string[], one: Relation) => entries.some((entry) => matchesTable(entry, one))

function tablePattern(entry: string): string {
  const { schema, name } = parsed(parseTablePattern(entry))
  return `${forPgDump(schema)}.${forPgDump(name)}`
}

function exactly({ schema, name, quoted }: Relation): string {
  if (!isBroken(quoted)) return quoteName(schema, name)
  throw new AppError('backup', `${shown(quoted)} cannot be left out: its name is not valid UTF-8`, {
    hint: 'rename it, or leave its schema out',
  })
}

/** The schema of the configuration has checked it. */
function parsed<T extends NamePattern | { schema: NamePattern; name: NamePattern }>(pattern: T | undefined): T {
  if (pattern === undefined) throw new Error('an entry of backup.exclude is no name')
  return pattern
}

/** What the manifest says of it; undefined where nothing was left out. */
export function leftOutOf({ schemas, tables, tableData, patterns }: LeftOut): Manifest['left_out'] {
  if (schemas.length + tables.length + tableData.length === 0) return undefined
  return {
    schemas: schemas.map(({ quoted }) => shown(quoted)),
    tables: tables.map(({ quoted }) => shown(quoted)),
    table_data: tableData.map(({ quoted }) => shown(quoted)),
    patterns: {
      schemas: [...patterns.schemas],
      tables: [...patterns.tables],
      table_data: [...patterns.tableData],
    },
  }
}

/** Names of tables whose rows are not in the backup. */
export const notCounted = ({ gone, tableData }: LeftOut): ReadonlySet<string> =>
  new Set([...gone, ...tableData].map(({ quoted }) => quoted))

export const unmatchedWarnings = ({ unmatched }: Pick<LeftOut, 'unmatched'>): string[] =>
  unmatched.map(([key, entry]) => visible(`${entry} in backup.exclude.${key} matches nothing`))

/** The same of `import.exclude`, which only has tables. */
export const unmatchedInImport = ({ unmatched }: Pick<LeftOut, 'unmatched'>): string[] =>
  unmatched.map(([, entry]) => visible(`${entry} in import.exclude matches nothing`))

/** What the role may not read, without what it does not have to. pg_dump locks a table even if only its rows are left out. */
export function neededAccess(access: Access, { schemas, gone, tableData }: LeftOut): Access {
  const absent = new Set([...gone].map(({ quoted }) => shown(quoted)))
  const rowless = new Set(tableData.map(({ quoted }) => shown(quoted)))
  const without = new Set(schemas.map(({ quoted }) => shown(quoted)))
  return {
    ...access,
    schemas: access.schemas.filter((name) => !without.has(name)),
    tables: access.tables.filter((name) => !absent.has(name)),
    sequences: access.sequences.filter((name) => !absent.has(name)),
    rowSecurity: access.rowSecurity.filter((name) => !absent.has(name) && !rowless.has(name)),
  }
}
