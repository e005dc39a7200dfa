import type { DatabaseSync } from 'node:sqlite'
import { AppError } from '../../errors.ts'
import { someOf } from '../../units.ts'
import type { Orphans } from '../findings.ts'
import type { Source, SourceColumn, SourceForeignKey, SourceTable } from '../types.ts'
import { withSqlite } from './scratch.ts'

type Row = Record<string, unknown>

/** What tables and columns the file has. */
export function readSource(db: DatabaseSync, name: string): Source {
  return withSqlite(name, () => {
    const listed = db
      .prepare(
        `select l.name, l.type, l.wr, s.sql from pragma_table_list l left join sqlite_schema s on s.name = l.name and s.type = 'table'
          where l.schema = 'main' and l.name not like 'sqlite\\_%' escape '\\' order by s.rowid, l.name`,
      )
      .all() as { name: string; type: string; wr: number; sql: string | null }[]
    const of = (type: string) => listed.filter((one) => one.type === type).map((one) => one.name)
    const encoding = db.prepare('pragma encoding').get() as { encoding: string }
    return {
      tables: listed
        .filter(({ type }) => type === 'table')
        .map((one) => readTable(db, one.name, { sql: one.sql ?? '', hasRowid: one.wr === 0 })),
      views: of('view'),
      virtual: of('virtual'),
      utf8: encoding.encoding === 'UTF-8',
    }
  })
}

function readTable(db: DatabaseSync, name: string, { sql, hasRowid }: { sql: string; hasRowid: boolean }): SourceTable {
  const columns = (
    db.prepare('select * from pragma_table_xinfo(?) order by cid').all(name) as {
      name: string
      type: string
      notnull: number
      dflt_value: string | null
      pk: number
      hidden: number
    }[]
  ).map(
    (column): SourceColumn => ({
      name: column.name,
      // A generated column has this behind its type.
      declared: column.type.replace(/\s*generated always$/i, ''),
      notNull: column.notnull === 1,
      key: column.pk,
      fallback: column.dflt_value,
      generated: column.hidden > 1,
    }),
  )
  const taken = columns.map((column) => column.name.toLowerCase())
  const leftOut: string[] = []
  return {
    name,
    columns,
    rowid: hasRowid ? ['rowid', '_rowid_', 'oid'].find((one) => !taken.includes(one)) : undefined,
    foreignKeys: readForeignKeys(db, name, sql),
    indexes: readIndexes(db, name, leftOut),
    leftOut: [...leftOut, ...leftOutOf(db, name, columns, sql)],
  }
}

function leftOutOf(db: DatabaseSync, name: string, columns: SourceColumn[], sql: string): string[] {
  const triggers = db
    .prepare(`select name from sqlite_schema where type = 'trigger' and tbl_name = ? order by name`)
    .all(name) as Row[]
  const computed = columns.filter(({ generated }) => generated).map((column) => column.name)
  const bare = sql.replaceAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"|\[[^\]]*\]|`[^`]*`|--.*|\/\*[\s\S]*?\*\//g, ' ')
  return [
    ...(/\bcheck\s*\(/i.test(bare) ? ['its CHECK constraints are left out'] : []),
    ...(/\bcollate\s+(?!binary)/i.test(bare) ? ['COLLATE is left out: PostgreSQL compares upper and lower case'] : []),
    ...(computed.length > 0 ? [`${someOf(computed)} is computed in SQLite, and becomes a plain column`] : []),
    ...(triggers.length > 0 ? [`triggers are left out: ${someOf(triggers.map((one) => String(one.name)))}`] : []),
  ]
}

function readForeignKeys(db: DatabaseSync, name: string, sql: string): SourceForeignKey[] {
  const rows = db.prepare('select * from pragma_foreign_key_list(?) order by id desc, seq').all(name) as {
    id: number
    table: string
    from: string
    to: string | null
    on_update: string
    on_delete: string
  }[]
  const deferred = /\bdeferrable\s+initially\s+deferred\b/i.test(sql)
  return [...Map.groupBy(rows, ({ id }) => id).values()].map((parts) => ({
    columns: parts.map(({ from }) => from),
    parent: parts[0]!.table,
    parentColumns: parts.flatMap(({ to }) => (to === null ? [] : [to])),
    onDelete: parts[0]!.on_delete,
    onUpdate: parts[0]!.on_update,
    deferred,
  }))
}

function readIndexes(db: DatabaseSync, name: string, leftOut: string[]): SourceTable['indexes'] {
  const indexes = db.prepare('select * from pragma_index_list(?) order by seq desc').all(name) as {
    name: string
    unique: number
    origin: string
    partial: number
  }[]
  return indexes.flatMap((index) => {
    if (index.origin === 'pk') return []
    const parts = db.prepare('select * from pragma_index_xinfo(?) where key = 1 order by seqno').all(index.name) as {
      name: string | null
      coll: string
    }[]
    const columns = parts.flatMap((part) => (part.name === null ? [] : [part.name]))
    const whole = index.partial === 0 && columns.length === parts.length
    if (whole && parts.every(({ coll }) => coll === 'BINARY'))
      return [{ name: index.name, unique: index.unique === 1, columns }]
    leftOut.push(
      `the index ${index.name} is left out: it ${whole ? 'has a COLLATE' : 'is partial or has an expression'}`,
    )
    return []
  })
}

/** @throws {AppError} `seed` with what SQLite finds broken */
export function refuseBroken(db: DatabaseSync, name: string): void {
  const found = withSqlite(name, () =>
    (db.prepare('pragma integrity_check(4)').all() as { integrity_check: string }[]).map((row) => row.integrity_check),
  )
  if (found.length === 1 && found[0] === 'ok') return
  throw new AppError('seed', `${name} is damaged: ${someOf(found, '; ')}`, {
    hint: 'repair it, for example with `.recover` of sqlite3, or take a backup of it; nothing was imported',
  })
}

/**
 * Rows whose parent does not exist: SQLite only looks at foreign keys where the application has switched that on. A foreign key to columns
 * that are not unique means nothing to SQLite: then nothing is found, and PostgreSQL decides.
 */
export function findOrphans(db: DatabaseSync, name: string, tables: readonly SourceTable[]): Orphans[] {
  return tables.flatMap((table) =>
    table.foreignKeys.length === 0 || !hasParents(db, table) ? [] : withSqlite(name, () => orphansOf(db, table)),
  )
}

function orphansOf(db: DatabaseSync, { name }: SourceTable): Orphans[] {
  const found = new Map<string, Orphans>()
  const query = db.prepare('select "table", cast(rowid as text) as row, parent from pragma_foreign_key_check(?)')
  for (const row of query.iterate(name) as Iterable<{ table: string; row: string | null; parent: string }>) {
    const known = found.get(row.parent)
    if (known) known.rows++
    else found.set(row.parent, { table: row.table, parent: row.parent, rows: 1, first: row.row ?? undefined })
  }
  return [...found.values()]
}

/** Asks for nothing: only whether the keys mean something. SQLITE_ERROR (1) is "foreign key mismatch". */
function hasParents(db: DatabaseSync, { name }: SourceTable): boolean {
  try {
    db.prepare('select 1 from pragma_foreign_key_check(?) limit 1').all(name)
    return true
  } catch (cause) {
    if ((cause as { errcode?: number }).errcode === 1) return false
    throw cause
  }
}
