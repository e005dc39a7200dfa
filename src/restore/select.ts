// pure
import type { Manifest } from '../archive/manifest.ts'
import type { Toc, TocEntry } from '../archive/toc.ts'
import { didYouMean } from '../config/suggest.ts'
import { type AppError, usage } from '../errors.ts'
import { quoteName, splitName } from '../sql/quote.ts'
import { someOf } from '../units.ts'

/** Which part of a backup to restore. Without schemas and tables: everything. */
export type Wanted = {
  schemas: readonly string[]
  /** As `schema.table`, or `table` in schema public. */
  tables: readonly string[]
  /** Extensions that are left out, with everything that needs them. */
  skipExtensions: readonly string[]
}

/** What of an archive is loaded. */
export type Selection = {
  /** In the order of the archive. */
  entries: TocEntry[]
  /** What is left out although somebody may miss it, and why. */
  notes: string[]
  /** The tables that are loaded with their rows, quoted. */
  tables: ReadonlySet<string>
}

/** Whether anything is left out. */
export const isPartial = ({ schemas, tables, skipExtensions }: Wanted): boolean =>
  schemas.length + tables.length + skipExtensions.length > 0

/**
 * Chooses the entries of an archive for some schemas and tables: what belongs to them (rows, defaults, sequences, indexes, constraints,
 * triggers, policies, comments, privileges), and everything that these need. Tables that are only needed come without rows, except
 * those that a chosen view reads. Pure.
 *
 * @throws {AppError} `usage` for a schema, a table or an extension that is not in the archive
 */
export function selectEntries({ entries }: Toc, wanted: Wanted): Selection {
  refuseUnknown(entries, wanted)
  const without = skipExtensions(entries, wanted.skipExtensions)
  const some = wanted.schemas.length + wanted.tables.length > 0
  const chosen = some ? chooseParts(without.entries, wanted) : { entries: without.entries, notes: [] }
  const withRows = new Set(chosen.entries.filter(({ desc }) => desc === 'TABLE DATA').map(nameOf))
  return {
    entries: chosen.entries,
    notes: [...without.notes, ...chosen.notes],
    tables: new Set(
      chosen.entries.filter((entry) => entry.desc === 'TABLE' && (!some || withRows.has(nameOf(entry)))).map(nameOf),
    ),
  }
}

const nameOf = ({ namespace, tag }: TocEntry) => quoteName(namespace, tag)
const plainName = ({ namespace, tag }: TocEntry) => (namespace === '' ? tag : `${namespace}.${tag}`)

const relations = new Set(['TABLE', 'FOREIGN TABLE', 'VIEW', 'MATERIALIZED VIEW', 'SEQUENCE'])
const views = new Set(['VIEW', 'MATERIALIZED VIEW'])
const settings = new Set(['ENCODING', 'STDSTRINGS', 'SEARCHPATH'])

/** They need both sides. */
const links = new Set(['FK CONSTRAINT', 'TABLE ATTACH', 'INDEX ATTACH'])
/** Memberships in something that belongs to no schema. */
const memberships = new Set(['PUBLICATION TABLE', 'PUBLICATION TABLES IN SCHEMA', 'SUBSCRIPTION TABLE'])
/** They belong to the first thing that they depend on, whatever that is. */
const remarks = new Set(['COMMENT', 'ACL', 'SECURITY LABEL'])
/** Named after their table: `orders orders_pkey`. */
const namedAfter = new Set([
  'DEFAULT',
  'CONSTRAINT',
  'CHECK CONSTRAINT',
  'FK CONSTRAINT',
  'TRIGGER',
  'RULE',
  'POLICY',
  'ROW SECURITY',
  'TABLE DATA',
])
/** They belong to the first relation that they depend on. */
const attached = new Set([
  ...namedAfter,
  'INDEX',
  'STATISTICS',
  'STATISTICS DATA',
  'SEQUENCE',
  'SEQUENCE OWNED BY',
  'SEQUENCE SET',
  'MATERIALIZED VIEW DATA',
])

type ById = ReadonlyMap<number, TocEntry>
const byId = (entries: TocEntry[]): ById => new Map(entries.map((entry) => [entry.id, entry]))

/** The thing that an entry belongs to; undefined if it stands alone. */
function ownerOf(entry: TocEntry, all: ById): TocEntry | undefined {
  const needed = entry.dependencies.flatMap((id) => all.get(id) ?? [])
  if (remarks.has(entry.desc)) return needed[0]
  if (!attached.has(entry.desc)) return undefined
  const of = needed.filter(({ desc }) => relations.has(desc))
  if (!namedAfter.has(entry.desc)) return of[0]
  return of.find(
    ({ namespace, tag }) => namespace === entry.namespace && (entry.tag === tag || entry.tag.startsWith(`${tag} `)),
  )
}

/** What is kept, and whether with its rows; `for`: what needs it. */
type Kept = Map<number, { rows: boolean; for: TocEntry }>

function chooseParts(entries: TocEntry[], { schemas, tables }: Wanted): Pick<Selection, 'entries' | 'notes'> {
  const all = byId(entries)
  const schemaOf = new Map(entries.filter(({ desc }) => desc === 'SCHEMA').map((entry) => [entry.tag, entry]))
  const kept: Kept = new Map()
  const keep = (entry: TocEntry, rows: boolean, because: TocEntry): void => {
    const before = kept.get(entry.id)
    const withRows = rows || entry.desc === 'SEQUENCE'
    if (before && (before.rows || !withRows)) return
    kept.set(entry.id, { rows: withRows, for: because })
    const schema = schemaOf.get(entry.namespace)
    if (schema) keep(schema, false, entry)
    for (const id of entry.dependencies) {
      const needed = all.get(id)
      if (needed) keep(needed, withRows && views.has(entry.desc), entry)
    }
  }
  for (const root of rootsOf(entries, { schemas, tables }, all)) keep(root, true, root)
  for (let before = -1; before !== kept.size; ) {
    before = kept.size
    for (const entry of entries) {
      if (kept.has(entry.id) || memberships.has(entry.desc)) continue
      const owner = ownerOf(entry, all)
      const place = owner && kept.get(owner.id)
      if (links.has(entry.desc) ? isLinked(entry, all, kept) : place && (place.rows || remarks.has(entry.desc)))
        keep(entry, true, owner ?? entry)
    }
  }
  return {
    entries: entries.filter(({ id, desc }) => kept.has(id) || settings.has(desc)),
    notes: notesOn(entries, all, kept),
  }
}

/** Partitions belong to their table. */
function rootsOf(entries: TocEntry[], { schemas, tables }: Pick<Wanted, 'schemas' | 'tables'>, all: ById): TocEntry[] {
  const names = new Set(tables.map(partsOf))
  const roots = entries.filter((entry) =>
    schemas.includes(entry.namespace)
      ? !links.has(entry.desc) && !memberships.has(entry.desc)
      : (entry.desc === 'SCHEMA' && schemas.includes(entry.tag)) ||
        (relations.has(entry.desc) && names.has(nameOf(entry))),
  )
  const found = new Set(roots.map(({ id }) => id))
  for (let before = -1; before !== found.size; ) {
    before = found.size
    for (const {
      desc,
      dependencies: [part, whole],
    } of entries)
      if (desc === 'TABLE ATTACH' && part !== undefined && whole !== undefined && found.has(whole)) found.add(part)
  }
  return [...found].flatMap((id) => all.get(id) ?? [])
}

const partsOf = (name: string): string => {
  const { schema, name: table } = splitName(name)
  return quoteName(schema, table)
}

/** A foreign key also needs the rows that it refers to. */
function isLinked({ desc, dependencies }: TocEntry, all: ById, kept: Kept): boolean {
  const needed = dependencies.flatMap((id) => all.get(id) ?? [])
  return (
    needed.length > 0 &&
    needed.every(
      ({ id, desc: of }) => kept.has(id) && (desc !== 'FK CONSTRAINT' || !relations.has(of) || kept.get(id)!.rows),
    )
  )
}

function notesOn(entries: TocEntry[], all: ById, kept: Kept): string[] {
  const withRows = (id: number) => kept.get(id)?.rows === true
  const missed = entries.filter((entry) => {
    if (kept.has(entry.id)) return false
    if (entry.desc === 'FK CONSTRAINT') return withRows(ownerOf(entry, all)?.id ?? -1)
    return memberships.has(entry.desc) && entry.dependencies.some(withRows)
  })
  const empty = entries.filter(
    ({ id, desc }) => desc === 'TABLE' && kept.has(id) && !withRows(id) && hasRows(id, entries),
  )
  return [
    ...missed.map((entry) =>
      entry.desc === 'FK CONSTRAINT'
        ? `the foreign key ${plainName(entry)} is left out: the table that it refers to was not chosen`
        : `${entry.desc.toLowerCase()} ${entry.tag} is left out: a part of a backup has no publications and subscriptions`,
    ),
    ...empty.map(
      (entry) =>
        `${plainName(entry)} comes without its rows: it is only needed by ${plainName(kept.get(entry.id)!.for)}`,
    ),
  ]
}

const hasRows = (table: number, entries: TocEntry[]) =>
  entries.some(({ desc, dependencies }) => desc === 'TABLE DATA' && dependencies.includes(table))

/** Everything but some extensions and what depends on them. */
function skipExtensions(entries: TocEntry[], names: readonly string[]): Pick<Selection, 'entries' | 'notes'> {
  const dropped = new Map<number, string>()
  for (const { id, desc, tag } of entries) if (desc === 'EXTENSION' && names.includes(tag)) dropped.set(id, tag)
  for (let before = -1; before !== dropped.size; ) {
    before = dropped.size
    for (const { id, dependencies } of entries) {
      const need = dependencies.find((needed) => dropped.has(needed))
      if (need !== undefined && !dropped.has(id)) dropped.set(id, dropped.get(need)!)
    }
  }
  const all = byId(entries)
  const told = entries.filter(
    (entry) =>
      dropped.has(entry.id) &&
      entry.desc !== 'EXTENSION' &&
      !remarks.has(entry.desc) &&
      !dropped.has(ownerOf(entry, all)?.id ?? -1),
  )
  return {
    entries: entries.filter(({ id }) => !dropped.has(id)),
    notes: told.map(
      (entry) =>
        `${entry.desc.toLowerCase()} ${plainName(entry)} is left out: it needs the extension ${dropped.get(entry.id)}`,
    ),
  }
}

function refuseUnknown(entries: TocEntry[], { schemas, tables, skipExtensions }: Wanted): void {
  const schemasHere = new Set(
    entries.flatMap(({ desc, tag, namespace }) => (desc === 'SCHEMA' ? [tag] : namespace === '' ? [] : [namespace])),
  )
  const tablesHere = new Map(
    entries.filter(({ desc }) => relations.has(desc)).map((entry) => [nameOf(entry), plainName(entry)]),
  )
  const extensionsHere = new Set(entries.filter(({ desc }) => desc === 'EXTENSION').map(({ tag }) => tag))
  for (const name of schemas) if (!schemasHere.has(name)) throw unknown('schema', name, didYouMean(name, schemasHere))
  for (const name of tables)
    if (!tablesHere.has(partsOf(name))) throw unknown('table', name, meant(name, [...tablesHere.values()]))
  for (const name of skipExtensions)
    if (!extensionsHere.has(name)) throw unknown('extension', name, didYouMean(name, extensionsHere))
}

/** A table of that name in another schema is meant more often than one with a similar name. */
function meant(text: string, candidates: string[]): string {
  const { schema, name } = splitName(text)
  const elsewhere = candidates.filter((candidate) => splitName(candidate).name === name)
  return elsewhere.length > 0
    ? `; did you mean ${someOf(elsewhere, ' or ')}?`
    : didYouMean(`${schema}.${name}`, candidates)
}

const unknown = (what: string, name: string, suggestion: string): AppError =>
  usage(`this backup has no ${what} ${name}${suggestion}`, {
    hint:
      what === 'table'
        ? 'write it like schema.table; without a schema, public is meant'
        : `check the name of the ${what}`,
  })

/** The manifest of the part: the rows that are compared, and the extensions that are needed. */
export function manifestOf<M extends Pick<Manifest, 'rows' | 'extensions'>>(
  manifest: M,
  { skipExtensions }: Wanted,
  tables?: ReadonlySet<string>,
): M {
  const { rows, extensions } = manifest
  return {
    ...manifest,
    extensions: extensions.filter(({ name }) => !skipExtensions.includes(name)),
    rows:
      tables === undefined
        ? rows
        : Object.fromEntries(Object.entries(rows).filter(([name]) => tables.has(partsOf(name)))),
  }
}
