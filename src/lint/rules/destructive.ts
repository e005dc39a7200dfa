// pure
import type { DropStmt, RenameStmt } from 'libpg-query'
import { keyOf } from '../catalog.ts'
import { clausesOf } from '../clauses.ts'
import type { FileContext } from '../context.ts'
import { allowed, deleteInBatches } from '../rewrites.ts'
import type { Rule } from '../rule.ts'
import { printIdent, printName } from '../sql.ts'
import type { LintStatement } from '../statement.ts'
import { droppedNames, relationName } from '../tree.ts'
import type { Hit, Rewrite, TableName } from '../types.ts'

const dropColumn: Rule = {
  name: 'drop-column',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'The data is lost for good, and the version of the application that is still running may read the column. Stop using the column first, and drop it one deployment later.',
  example: 'alter table users drop column email',
  check(statement, { isNew, table: find, statements }) {
    return clausesOf(statement)
      .filter(({ command, table }) => command.subtype === 'AT_DropColumn' && !isNew(table))
      .filter(
        ({ command, table }) =>
          !isAddedHere(statements, table, command.name ?? '', find(table)?.columns.has(command.name ?? '')),
      )
      .map(({ command, table, at, alter, text }) => ({
        at,
        message: `the column ${printIdent(command.name ?? '')} of ${printName(table)} is dropped with its data`,
        table,
        rewrite: [allowed('drop-column', 'nothing has used it since the last deployment', `${alter} ${text}`)],
      }))
  },
}

/** A column that the same file adds has no data to lose. */
const isAddedHere = (statements: LintStatement[], table: TableName, column: string, known: boolean | undefined) =>
  known !== false &&
  statements
    .flatMap(clausesOf)
    .some(
      ({ command, table: other }) =>
        command.subtype === 'AT_AddColumn' &&
        printName(other) === printName(table) &&
        command.def &&
        'ColumnDef' in command.def &&
        command.def.ColumnDef.colname === column &&
        !command.missing_ok,
    )

const things: Partial<Record<string, string>> = {
  OBJECT_TABLE: 'table',
  OBJECT_SCHEMA: 'schema',
  OBJECT_FOREIGN_TABLE: 'foreign table',
}

const dropTable: Rule = {
  name: 'drop-table',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'The data is lost for good. Dropping a table also locks the tables that its foreign keys reference, until the end of the transaction.',
  example: 'drop table users',
  check(statement, context) {
    const { node, start, text } = statement
    if ('DropdbStmt' in node) {
      const message = `the database ${printIdent(node.DropdbStmt.dbname ?? '')} is dropped with everything in it`
      return [
        {
          at: start,
          message,
          rewrite: [{ ...allowed('drop-table', 'it was backed up and is no longer used', text), outside: true }],
        },
      ]
    }
    if (!('DropStmt' in node) || !things[node.DropStmt.removeType ?? '']) return []
    return dropped(node.DropStmt, statement, context)
  },
}

function dropped(
  { removeType, objects, behavior }: DropStmt,
  { start, text }: LintStatement,
  context: FileContext,
): Hit[] {
  const isTable = removeType === 'OBJECT_TABLE'
  return droppedNames(objects)
    .filter((name) => removeType === 'OBJECT_SCHEMA' || !context.isNew(name))
    .filter(() => removeType !== 'OBJECT_SCHEMA' || behavior === 'DROP_CASCADE')
    .map((name) => ({
      at: start,
      message: `the ${things[removeType ?? '']} ${printName(name)} is dropped with ${removeType === 'OBJECT_SCHEMA' ? 'everything in it' : 'its data'}`,
      ...(isTable && { table: name }),
      rewrite: [
        ...(isTable ? dropKeysFirst(name, context) : []),
        allowed('drop-table', 'nothing has used it since the last deployment', text),
      ],
    }))
}

/** Each foreign key is dropped in a file of its own, so that never more than two tables are locked at once. */
function dropKeysFirst(name: TableName, { catalog, table: find }: FileContext): Rewrite {
  const table = find(name)
  const own = [...(table?.constraints ?? [])].filter(([, { kind }]) => kind === 'foreign')
  const others = [...catalog.tables.values()].flatMap((other) =>
    other.key === table?.key
      ? []
      : [...other.constraints].flatMap(([constraint, { references }]) =>
          references === keyOf(catalog, name) ? [{ table: other.key.replace(/^public\./, ''), constraint }] : [],
        ),
  )
  const drops = [...own.map(([constraint]) => ({ table: printName(name), constraint })), ...others]
  return drops.map(({ table, constraint }) => ({
    sql: `alter table ${table} drop constraint ${printIdent(constraint)};`,
  }))
}

const truncate: Rule = {
  name: 'truncate',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'All rows are lost for good; with CASCADE, so are those of every table that references this one, directly or through others.',
  example: 'truncate users cascade',
  check({ node, start }, { isNew }) {
    if (!('TruncateStmt' in node)) return []
    const { relations = [], behavior } = node.TruncateStmt
    return relations.flatMap((relation): Hit[] => {
      const name = 'RangeVar' in relation ? relationName(relation.RangeVar) : undefined
      if (!name || isNew(name)) return []
      const further = behavior === 'DROP_CASCADE' ? ', and so is every table that references it' : ''
      return [
        {
          at: start,
          message: `${printName(name)} is emptied${further}`,
          table: name,
          rewrite: [deleteInBatches(name, undefined)],
        },
      ]
    })
  },
}

const renamed: Partial<Record<string, string>> = {
  OBJECT_COLUMN: 'column',
  OBJECT_TABLE: 'table',
  OBJECT_SCHEMA: 'schema',
  OBJECT_VIEW: 'view',
  OBJECT_TYPE: 'type',
}

const rename: Rule = {
  name: 'rename',
  level: 'off',
  lock: 'AccessExclusiveLock',
  why: 'The version of the application that is still running only knows the old name. Keep both names for one deployment: a second column, or a view under the old name. Enable this rule if old and new versions run at the same time.',
  example: 'alter table users rename column email to mail',
  check({ node, start }, { isNew }) {
    if ('AlterEnumStmt' in node && node.AlterEnumStmt.oldVal !== undefined)
      return [{ at: start, message: `the enum value '${node.AlterEnumStmt.oldVal}' is renamed` }]
    if (!('RenameStmt' in node)) return []
    const { renameType = '', relation } = node.RenameStmt
    const what = renamed[renameType]
    const table = relation && relationName(relation)
    if (!what || (table && isNew(table))) return []
    return [{ at: start, message: renameMessage(node.RenameStmt, what), table, rewrite: renameSafely(node.RenameStmt) }]
  },
}

function renameMessage({ relation, subname, newname = '' }: RenameStmt, what: string): string {
  const old = subname ?? relation?.relname ?? ''
  const where = subname !== undefined && relation ? ` of ${printName(relationName(relation))}` : ''
  return `the ${what} ${printIdent(old)}${where} is renamed to ${printIdent(newname)}`
}

/** A renamed table leaves a view under its old name. */
function renameSafely({ renameType, relation, newname = '' }: RenameStmt): Rewrite | undefined {
  if (renameType !== 'OBJECT_TABLE' || !relation) return undefined
  const old = relationName(relation)
  const next = printName({ schema: old.schema, name: newname })
  return [
    allowed(
      'rename',
      'a view keeps the old name',
      `alter table ${printName(old)} rename to ${printIdent(newname)};\ncreate view ${printName(old)} as select * from ${next}`,
    ),
  ]
}

const dropForeignKey: Rule = {
  name: 'drop-constraint-fk',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'Dropping a foreign key locks both tables, not only the one that the statement names. In a file of its own it holds the locks only for a moment.',
  example: 'alter table orders drop constraint orders_user_id_fkey;\nalter table orders add column note text',
  check(statement, context) {
    const { isNew, table: find } = context
    return clausesOf(statement)
      .filter(({ command, table }) => command.subtype === 'AT_DropConstraint' && !isNew(table))
      .filter(() => context.before.length + context.after.length > 0)
      .flatMap(({ command, table, at, alter, text }): Hit[] => {
        const known = find(table)?.constraints.get(command.name ?? '')
        if (known ? known.kind !== 'foreign' : !/(^|_)fk(ey)?(_|$)/.test(command.name ?? '')) return []
        const other = known?.references?.replace(/^public\./, '') ?? 'the referenced table'
        return [
          {
            at,
            message: `dropping ${printIdent(command.name ?? '')} blocks ${other} as well as ${printName(table)} until the end of the transaction`,
            table,
            rewrite: [{ sql: `${alter} ${text};` }],
          },
        ]
      })
  },
}

/** Rules about what is dropped, emptied or renamed. */
export const destructiveRules: Rule[] = [dropColumn, dropTable, truncate, rename, dropForeignKey]
