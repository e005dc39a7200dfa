// pure
import type { Constraint } from 'libpg-query'
import { type Catalog, type Table, tableOf } from '../catalog.ts'
import { type Clause, clausesOf } from '../clauses.ts'
import type { FileContext } from '../context.ts'
import { seenBy } from '../declare-alter.ts'
import { setNotNullSafely } from '../rewrites.ts'
import type { Rule } from '../rule.ts'
import { joinName, printIdent, printList, printName } from '../sql.ts'
import type { Statement } from '../statement.ts'
import { columnOf, constraintOf, constraintsOf, textsOf } from '../tree.ts'
import type { Hit, Rewrite, TableName } from '../types.ts'

/** A constraint that an ALTER TABLE adds to a table that exists; `column` where it stands in the definition of a new column. */
type Added = { clause: Clause; constraint: Constraint; column?: string; at: number }

/** Constraints of a kind, with the ones of new columns. */
function addedConstraints(statement: Statement, { isNew }: FileContext, kind: string): Added[] {
  return clausesOf(statement).flatMap((clause): Added[] => {
    if (isNew(clause.table)) return []
    const constraint = clause.command.subtype === 'AT_AddConstraint' ? constraintOf(clause.command) : undefined
    if (constraint) return constraint.contype === kind ? [{ clause, constraint, at: clause.at }] : []
    const column = clause.command.subtype === 'AT_AddColumn' ? columnOf(clause.command) : undefined
    if (!column) return []
    return constraintsOf(column)
      .filter(({ contype }) => contype === kind)
      .map((constraint) => ({
        clause,
        constraint,
        column: column.colname ?? '',
        at: statement.at(constraint.location),
      }))
  })
}

/** `add constraint NAME …` of a clause that may have no name, and the name. */
function named({ clause, constraint }: Added, suffix: string, columns: string[]): { add: string; name: string } {
  const { conname } = constraint
  if (conname !== undefined) return { add: clause.text, name: printIdent(conname) }
  const name = printIdent(joinName(clause.table.name, ...columns, suffix))
  return { add: clause.text.replace(/^add\s+/i, `add constraint ${name} `), name }
}

/** NOT VALID first, VALIDATE in a file of its own. */
const notValidFirst = ({ alter }: Clause, add: string, name: string): Rewrite => [
  { sql: `${alter} ${add} not valid;` },
  { sql: `${alter} validate constraint ${name};` },
]

const fkValidates: Rule = {
  name: 'fk-validates',
  level: 'warn',
  lock: 'ShareRowExclusiveLock',
  why: 'Adding a foreign key blocks writes to both tables while every row is compared.',
  example: 'alter table orders add constraint orders_user foreign key (user_id) references users (id)',
  check(statement, context) {
    return addedConstraints(statement, context, 'CONSTR_FOREIGN').flatMap((added): Hit[] => {
      const { clause, constraint, column, at } = added
      if (constraint.skip_validation || isEmptyColumn(added)) return []
      const columns = textsOf(constraint.fk_attrs)
      const { add, name } = named(added, 'fkey', columns)
      return [
        {
          at,
          message: `the foreign key is compared with every row of ${printName(clause.table)}, which blocks writes to both tables`,
          table: clause.table,
          cost: 'scan',
          rewrite: column === undefined && clause.text !== '' ? notValidFirst(clause, add, name) : undefined,
        },
      ]
    })
  },
}

/** A new column without a default is null everywhere: its references are not looked at. */
const isEmptyColumn = ({ clause, column }: Added) => {
  const defined = column === undefined ? undefined : columnOf(clause.command)
  return (
    defined !== undefined &&
    !constraintsOf(defined).some(({ contype = '' }) => /DEFAULT|IDENTITY|GENERATED/.test(contype))
  )
}

const checkValidates: Rule = {
  name: 'check-validates',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'Adding a CHECK constraint blocks readers and writers while every row is checked.',
  example: 'alter table orders add constraint orders_total check (total >= 0)',
  check(statement, context) {
    return addedConstraints(statement, context, 'CONSTR_CHECK').flatMap((added): Hit[] => {
      const { clause, constraint, column, at } = added
      if (constraint.skip_validation || constraint.is_enforced === false) return []
      const { add, name } = named(added, 'check', [])
      return [
        {
          at,
          message: `the check reads every row of ${printName(clause.table)}, which is blocked meanwhile`,
          table: clause.table,
          cost: 'scan',
          rewrite: column === undefined && clause.text !== '' ? notValidFirst(clause, add, name) : undefined,
        },
      ]
    })
  },
}

const notValidAndValidate: Rule = {
  name: 'not-valid-and-validate-same-tx',
  level: 'warn',
  why: 'The strong lock of ADD … NOT VALID is held until the end of the transaction, and so through the scan that NOT VALID was to spare.',
  example:
    'alter table orders add constraint orders_total check (total >= 0) not valid;\nalter table orders validate constraint orders_total',
  check(statement, context) {
    const { isNew } = context
    return clausesOf(statement)
      .filter(({ command, table }) => command.subtype === 'AT_ValidateConstraint' && !isNew(table))
      .filter(({ command, table }) => context.before.some((one) => addsNotValid(one, table, command.name)))
      .map(({ at, table, alter, command }) => ({
        at,
        message: `${printIdent(command.name ?? '')} is added and validated in one transaction: ${printName(table)} stays blocked through the scan`,
        table,
        cost: 'scan',
        lock: 'AccessExclusiveLock',
        rewrite: [{ sql: `${alter} validate constraint ${printIdent(command.name ?? '')};` }],
      }))
  },
}

const addsNotValid = (statement: Statement, table: TableName, name: string | undefined): boolean =>
  clausesOf(statement).some((clause) => {
    const constraint = constraintOf(clause.command)
    return constraint?.skip_validation && constraint.conname === name && printName(clause.table) === printName(table)
  })

const setNotNullScan: Rule = {
  name: 'set-not-null-scan',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'SET NOT NULL reads the whole table under the strongest lock, unless a validated CHECK says the same already.',
  example: 'alter table users alter column email set not null',
  check(statement, { isNew, catalog }) {
    const required = clausesOf(statement).filter(
      ({ command, table }) => command.subtype === 'AT_SetNotNull' && !isNew(table),
    )
    const seen = required.length > 0 ? seenBy('attributes', catalog, statement.node) : catalog
    return required
      .filter(({ command, table }) => !isNotNullAlready(tableOf(seen, table), command.name ?? ''))
      .map(({ command, table, at }) => ({
        at,
        message: `every row of ${printName(table)} is read for nulls in ${printIdent(command.name ?? '')}, and the table is blocked meanwhile`,
        table,
        cost: 'scan',
        rewrite: setNotNullSafely(table, command.name ?? ''),
      }))
  },
}

/** Whether the server need not look: the column is not null, or a validated check says so. */
const isNotNullAlready = (table: Table | undefined, column: string) =>
  table?.columns.get(column)?.notNull === true ||
  [...(table?.constraints.values() ?? [])].some(({ notNullColumn, validated }) => notNullColumn === column && validated)

/** Files that build the index first; `constraint` is `unique` or `primary key`. */
function usingIndex({ alter, table }: Clause, constraint: string, name: string, columns: string[]): Rewrite {
  const unique = `create unique index concurrently ${name} on ${printName(table)} (${printList(columns)});`
  return [{ outside: true, sql: unique }, { sql: `${alter} add constraint ${name} ${constraint} using index ${name};` }]
}

const addUnique: Rule = {
  name: 'add-unique-constraint',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'A new unique constraint builds its index under the strongest lock: nobody reads or writes the table until it is done.',
  example: 'alter table users add constraint users_email_key unique (email)',
  check(statement, context) {
    return addedConstraints(statement, context, 'CONSTR_UNIQUE')
      .filter(({ constraint }) => constraint.indexname === undefined)
      .map(({ clause, constraint, column, at }) => {
        const columns = column === undefined ? textsOf(constraint.keys) : [column]
        const name = printIdent(constraint.conname ?? joinName(clause.table.name, ...columns, 'key'))
        const rewrite = usingIndex(clause, 'unique', name, columns)
        return {
          at,
          message: `the index of the unique constraint is built while ${printName(clause.table)} is blocked`,
          table: clause.table,
          cost: 'build' as const,
          rewrite: column === undefined ? rewrite : undefined,
        }
      })
  },
}

const addPrimaryKey: Rule = {
  name: 'add-primary-key',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'A new primary key builds its index and looks for nulls under the strongest lock.',
  example: 'alter table events add primary key (id)',
  check(statement, context) {
    return addedConstraints(statement, context, 'CONSTR_PRIMARY')
      .filter(({ constraint }) => constraint.indexname === undefined)
      .map(({ clause, constraint, column, at }) => {
        const columns = column === undefined ? textsOf(constraint.keys) : [column]
        return {
          at,
          message: `the index of the primary key is built while ${printName(clause.table)} is blocked`,
          table: clause.table,
          cost: 'build' as const,
          rewrite:
            column === undefined
              ? primaryKeySafely(
                  clause,
                  constraint,
                  columns,
                  seenBy('indexConstraint', context.catalog, statement.node),
                )
              : undefined,
        }
      })
  },
}

function primaryKeySafely(clause: Clause, { conname }: Constraint, columns: string[], seen: Catalog): Rewrite {
  const name = printIdent(conname ?? joinName(clause.table.name, 'pkey'))
  const declared = tableOf(seen, clause.table)
  const nullable = columns.filter((column) => !isNotNullAlready(declared, column))
  return [
    ...nullable.flatMap((column) => setNotNullSafely(clause.table, column)),
    ...usingIndex(clause, 'primary key', name, columns),
  ]
}

const addExclusion: Rule = {
  name: 'add-exclusion-constraint',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'An exclusion constraint builds its index under the strongest lock, and there is no concurrent way: use a quiet hour, or a new table.',
  example: 'alter table bookings add exclude using gist (during with &&)',
  check(statement, context) {
    return addedConstraints(statement, context, 'CONSTR_EXCLUSION').map(({ clause, at }) => ({
      at,
      message: `the index of the exclusion constraint is built while ${printName(clause.table)} is blocked`,
      table: clause.table,
      cost: 'build' as const,
    }))
  },
}

/** Rules about constraints. */
export const constraintRules: Rule[] = [
  fkValidates,
  checkValidates,
  notValidAndValidate,
  setNotNullScan,
  addUnique,
  addPrimaryKey,
  addExclusion,
]
