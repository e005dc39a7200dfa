// pure
import { type Catalog, type Table, tableOf } from './catalog.ts'
import type { LintStatement, NameToken } from './statement.ts'
import type { LintFile, TableName } from './types.ts'

/** What a rule knows in addition to the statement itself. */
export type FileContext = {
  file: LintFile
  /** Major version of the server that the file is for; undefined if it is not known. */
  server: number | undefined
  /** What was declared before this statement, in this file and in the files before it. */
  catalog: Catalog
  statements: LintStatement[]
  /** Whether the statement runs in a transaction that may contain others. */
  inTransaction: boolean
  /** The statements of the same transaction before and after this one. */
  before: LintStatement[]
  after: LintStatement[]
  /** Whether the file adds a value to an enum at all. */
  addsEnumValues: boolean
  /** Whether the file is a plain dump by pg_dump, which fills an empty database. */
  isDump: boolean
  /** Whether the table is new and empty: created by this file, or by another file that is also still pending. */
  isNew(name: TableName): boolean
  /** The same, as seen by the statements after this one. */
  isNewBehind(name: TableName): boolean
  /** The table as declared so far. */
  table(name: TableName): Table | undefined
  /** Whether what a file declares, such as a type or an index, is new in the same sense. */
  isNewIn(fileNumber: number | undefined): boolean
  /** Identifiers in the text that PostgreSQL truncates. */
  longNames(): NameToken[]
}

/** What the caller knows. */
export type World = {
  files: LintFile[]
  /** Keys of the tables in the database; undefined without a connection. */
  existing: ReadonlySet<string> | undefined
  /** Major version of the server; undefined if it is not known. */
  server?: number | undefined
}

/** The part of the context that is the same for all statements of a file. */
export function fileContext(
  { files, existing, server }: World,
  number: number,
  catalog: Catalog,
): Pick<FileContext, 'file' | 'server' | 'catalog' | 'isNew' | 'isNewIn' | 'table' | 'isDump'> {
  const file = files[number]!
  const isNewIn = (from: number | undefined) =>
    from !== undefined && (from === number || (file.pending === true && files[from]?.pending === true))
  return {
    file,
    server,
    catalog,
    isNewIn,
    isDump: /^\s*--\s*\n-- PostgreSQL database (cluster )?dump/.test(file.text),
    table: (name) => tableOf(catalog, name),
    isNew(name) {
      const table = tableOf(catalog, name)
      if (!table) return false
      return isNewIn(table.file) || (existing !== undefined && table.file >= 0 && !existing.has(table.key))
    },
  }
}

/** The number of the transaction that each statement runs in. Of a split file each statement has its own, except between BEGIN and COMMIT. */
export function transactions({ mode }: LintFile, statements: LintStatement[]): number[] {
  if (mode === 'wrapped') return statements.map(() => 0)
  let current = 0
  let open = false
  return statements.map((statement) => {
    if (!open) current++
    if (beginsTransaction(statement)) open = true
    if (endsTransaction(statement)) open = false
    return current
  })
}

const kindOf = ({ node }: LintStatement) => ('TransactionStmt' in node ? (node.TransactionStmt.kind ?? '') : '')

/** BEGIN and START TRANSACTION. */
export const beginsTransaction = (statement: LintStatement): boolean => /_(BEGIN|START)$/.test(kindOf(statement))

/** COMMIT, ROLLBACK and PREPARE TRANSACTION. */
export const endsTransaction = (statement: LintStatement): boolean =>
  /_(COMMIT|ROLLBACK|PREPARE)$/.test(kindOf(statement))
