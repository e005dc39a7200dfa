// pure
import type { Constraint } from 'libpg-query'
import { type Catalog, type Table, tableOf } from '../catalog.ts'
import { type Clause, clausesOf } from '../clauses.ts'
import type { FileContext } from '../context.ts'
import { seenBy } from '../declare-alter.ts'
import { setNotNullSafely } from '../rewrites.ts'
import type { Rule } from '../rule.ts'
import { joinName, printIdent, printList, printName } from '../sql.ts'
import type { LintStatement } from '../statement.ts'
import { columnOf, constraintOf, constraintsOf, textsOf } from '../tree.ts'
import type { Hit, Rewrite, TableName } from '../types.ts'

/** A constraint that an ALTER TABLE adds to an existing table; `column`: the new column that it is part of. */
type Added = { clause: Clause; constraint: Constraint; column?: string; at: number }

/** Added constraints of one kind, those in the definitions of new columns included. */
function addedConstraints(statement: LintStatement, { isNew }: FileContext, kind: string): Added[] {
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

/** The clause as `add constraint NAME …`, with a name of our choice if it has none, and that name. */
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
  why: 'Adding a foreign key blocks writes to both tables while every row is checked. Add it with NOT VALID, then validate it in a later file, which does not block writes.',
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
          message: `the foreign key is checked for every row of ${printName(clause.table)} while writes to both tables are blocked`,
          table: clause.table,
          cost: 'scan',
          rewrite: column === undefined && clause.text !== '' ? notValidFirst(clause, add, name) : undefined,
        },
      ]
    })
  },
}

/** A new column without a default is null everywhere: PostgreSQL has no references to check. */
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
  why: 'Adding a CHECK constraint blocks reads and writes while every row is checked. Add it with NOT VALID, then validate it in a later file, which blocks neither.',
  example: 'alter table orders add constraint orders_total check (total >= 0)',
  check(statement, context) {
    return addedConstraints(statement, context, 'CONSTR_CHECK').flatMap((added): Hit[] => {
      const { clause, constraint, column, at } = added
      if (constraint.skip_validation || constraint.is_enforced === false) return []
      const { add, name } = named(added, 'check', [])
      return [
        {
          at,
          message: `every row of ${printName(clause.table)} is checked while reads and writes are blocked`,
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
  why: 'The lock that ADD … NOT VALID takes is held until the end of the transaction, so the table stays blocked during the scan, which NOT VALID was meant to avoid. Validate the constraint in a later file.',
  example:
    'alter table orders add constraint orders_total check (total >= 0) not valid;\nalter table orders validate constraint orders_total',
  check(statement, context) {
    const { isNew } = context
    return clausesOf(statement)
      .filter(({ command, table }) => command.subtype === 'AT_ValidateConstraint' && !isNew(table))
      .filter(({ command, table }) => context.before.some((one) => addsNotValid(one, table, command.name)))
      .map(({ at, table, alter, command }) => ({
        at,
        message: `${printIdent(command.name ?? '')} is added and validated in one transaction: ${printName(table)} stays blocked during the scan`,
        table,
        cost: 'scan',
        lock: 'AccessExclusiveLock',
        rewrite: [{ sql: `${alter} validate constraint ${printIdent(command.name ?? '')};` }],
      }))
  },
}

const addsNotValid = (statement: LintStatement, table: TableName, name: string | undefined): boolean =>
  clausesOf(statement).some((clause) => {
    const constraint = constraintOf(clause.command)
    return constraint?.skip_validation && constraint.conname === name && printName(clause.table) === printName(table)
  })

const setNotNullScan: Rule = {
  name: 'set-not-null-scan',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'SET NOT NULL scans the whole table under an ACCESS EXCLUSIVE lock, unless a validated CHECK constraint already proves that the column has no nulls.',
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
        message: `every row of ${printName(table)} is checked for a null in ${printIdent(command.name ?? '')} while reads and writes are blocked`,
        table,
        cost: 'scan',
        rewrite: setNotNullSafely(table, command.name ?? ''),
      }))
  },
}

/** Whether the server need not scan the table: the column is NOT NULL, or a validated check proves it. */
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
  why: 'Adding a UNIQUE constraint builds its index under an ACCESS EXCLUSIVE lock: nobody can read or write the table until the index is built. Build the index with CONCURRENTLY first, then add the constraint with USING INDEX.',
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
          message: `the index of the UNIQUE constraint is built while reads and writes of ${printName(clause.table)} are blocked`,
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
  why: 'Adding a primary key builds its index and checks every row for nulls under an ACCESS EXCLUSIVE lock. Set NOT NULL safely first, build the index with CONCURRENTLY, then add the key with USING INDEX.',
  example: 'alter table events add primary key (id)',
  check(statement, context) {
    return addedConstraints(statement, context, 'CONSTR_PRIMARY')
      .filter(({ constraint }) => constraint.indexname === undefined)
      .map(({ clause, constraint, column, at }) => {
        const columns = column === undefined ? textsOf(constraint.keys) : [column]
        return {
          at,
          message: `the index of the primary key is built while reads and writes of ${printName(clause.table)} are blocked`,
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
  why: 'Adding an exclusion constraint builds its index under an ACCESS EXCLUSIVE lock, and PostgreSQL cannot build it concurrently. Add it in a quiet hour, or to a new table.',
  example: 'alter table bookings add exclude using gist (during with &&)',
  check(statement, context) {
    return addedConstraints(statement, context, 'CONSTR_EXCLUSION').map(({ clause, at }) => ({
      at,
      message: `the index of the exclusion constraint is built while reads and writes of ${printName(clause.table)} are blocked`,
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
