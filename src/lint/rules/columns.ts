// pure
import type { ColumnDef, Constraint } from 'libpg-query'
import { type Clause, clausesOf } from '../clauses.ts'
import type { FileContext } from '../context.ts'
import { setNotNullSafely, updateInBatches } from '../rewrites.ts'
import type { Rule } from '../rule.ts'
import { joinName, printIdent, printName } from '../sql.ts'
import type { LintStatement } from '../statement.ts'
import { columnOf, constraintsOf, isSerial, walk } from '../tree.ts'
import type { Rewrite } from '../types.ts'
import { volatileCall } from '../volatile.ts'

/** A column that an ALTER TABLE adds to a table that exists. */
export type NewColumn = {
  clause: Clause
  column: ColumnDef
  name: string
  constraints: Constraint[]
  at: number
  /** The type as it is written. */
  type: string
}

/** Columns that a statement adds to tables that exist. */
export function newColumns(statement: LintStatement, { isNew }: Pick<FileContext, 'isNew'>): NewColumn[] {
  return clausesOf(statement).flatMap((clause): NewColumn[] => {
    const column = clause.command.subtype === 'AT_AddColumn' ? columnOf(clause.command) : undefined
    if (!column || isNew(clause.table)) return []
    const constraints = constraintsOf(column)
    return [
      {
        clause,
        column,
        name: column.colname ?? '',
        constraints,
        at: clause.at,
        type: typeText(statement, clause, column),
      },
    ]
  })
}

/** From the type to the first constraint, or the end of the clause. */
function typeText({ text, start, at }: LintStatement, clause: Clause, column: ColumnDef): string {
  const end = Math.min(
    clause.at - start + clause.text.length,
    ...constraintsOf(column).map(({ location }) => at(location) - start),
  )
  return text.slice(at(column.typeName?.location) - start, end).trim()
}

const has = ({ constraints }: NewColumn, ...kinds: string[]) =>
  constraints.find(({ contype = '' }) => kinds.includes(contype.replace('CONSTR_', '')))

/** The text of a constraint of a new column, without the keyword in front of its expression. */
function expressionOf(
  { text, start, at }: LintStatement,
  { clause, constraints }: NewColumn,
  constraint: Constraint,
): string {
  const from = at(constraint.location) - start
  const ends = constraints.map(({ location }) => at(location) - start).filter((other) => other > from)
  const piece = text.slice(from, Math.min(...ends, clause.at - start + clause.text.length))
  return piece.replace(/^default\s+/i, '').trim()
}

const requiredColumn: Rule = {
  name: 'add-required-column',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'A NOT NULL column without a default cannot be added to a table that has rows: the statement fails (23502). Add the column without NOT NULL, fill it, then set NOT NULL.',
  example: 'alter table users add column email text not null',
  check(statement, context) {
    return newColumns(statement, context)
      .filter((one) => has(one, 'NOTNULL', 'PRIMARY') && !has(one, 'DEFAULT', 'IDENTITY', 'GENERATED'))
      .filter(({ column }) => !isSerial(column.typeName))
      .map(({ clause, name, type, at }) => ({
        at,
        message: `${printIdent(name)} must not be null and has no default: this fails if ${printName(clause.table)} has rows`,
        table: clause.table,
        rewrite: requiredSafely(clause, name, type),
      }))
  },
}

/** First nullable, then filled for the existing rows, then NOT NULL without a long lock. */
function requiredSafely({ alter, table }: Clause, name: string, type: string): Rewrite {
  const [first, ...rest] = setNotNullSafely(table, name, `${alter} add column ${printIdent(name)} ${type};\n`)
  return [{ sql: `-- before the next file, fill the column for the existing rows\n${first?.sql}` }, ...rest]
}

/** Adds a column, gives new rows a default, fills the others in batches and only then makes it required. */
function defaultSafely({ clause, name, type, ...column }: NewColumn, expression: string, before = ''): Rewrite {
  const { alter, table } = clause
  const ident = printIdent(name)
  const files: Rewrite = [
    {
      sql: `${before}${alter} add column ${ident} ${type};\n${alter} alter column ${ident} set default ${expression};`,
    },
    updateInBatches(table, `${ident} = default`, `${ident} is null`),
  ]
  const required = column.constraints.some(({ contype }) => contype === 'CONSTR_NOTNULL')
  return required ? [...files, ...setNotNullSafely(table, name)] : files
}

const volatileDefault: Rule = {
  name: 'add-column-volatile-default',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'A volatile default has to be evaluated for every row: PostgreSQL rewrites the whole table while reads and writes are blocked. Constants and now() are free. Add the column first, then set its default, then fill the existing rows in batches.',
  example: 'alter table users add column token uuid default gen_random_uuid()',
  check(statement, context) {
    return newColumns(statement, context).flatMap((one) => {
      const constraint = has(one, 'DEFAULT')
      const call = volatileCall(constraint?.raw_expr)
      if (!constraint || !call) return []
      const { clause, at } = one
      return [
        {
          at,
          message: `${call.name}() ${call.sure ? 'is volatile: this' : 'may be volatile, and if it is, this'} rewrites the whole table ${printName(clause.table)} while reads and writes are blocked`,
          table: clause.table,
          cost: 'rewrite' as const,
          rewrite: defaultSafely(one, expressionOf(statement, one, constraint)),
        },
      ]
    })
  },
}

const serialColumn: Rule = {
  name: 'add-serial-column',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'A serial or identity column numbers every existing row: PostgreSQL rewrites the whole table while reads and writes are blocked.',
  example: 'alter table users add column number bigserial',
  check(statement, context) {
    return newColumns(statement, context)
      .filter((one) => isSerial(one.column.typeName) || has(one, 'IDENTITY'))
      .map((one) => ({
        at: one.at,
        message: `numbering the existing rows in ${printIdent(one.name)} rewrites the whole table ${printName(one.clause.table)} while reads and writes are blocked`,
        table: one.clause.table,
        cost: 'rewrite' as const,
        rewrite: numbersSafely(one),
      }))
  },
}

function numbersSafely(one: NewColumn): Rewrite {
  const { table } = one.clause
  const sequence = printName({ schema: table.schema, name: joinName(table.name, one.name, 'seq') })
  const files = defaultSafely(
    { ...one, type: 'bigint' },
    `nextval('${sequence.replaceAll("'", "''")}')`,
    `create sequence ${sequence};\n`,
  )
  const [first, ...rest] = files
  const owned = `alter sequence ${sequence} owned by ${printName(table)}.${printIdent(one.name)};`
  return [{ sql: `${first?.sql}\n${owned}` }, ...rest]
}

const generatedColumn: Rule = {
  name: 'add-stored-generated-column',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'A stored generated column is computed for every existing row: PostgreSQL rewrites the whole table while reads and writes are blocked.',
  example: 'alter table orders add column gross numeric generated always as (net * 1.2) stored',
  check(statement, context) {
    return newColumns(statement, context).flatMap((one) => {
      const constraint = has(one, 'GENERATED')
      if (!constraint || constraint.generated_kind === 'v') return []
      const { clause, name, at, type } = one
      const expression = withNew(statement, one, constraint)
      return [
        {
          at,
          message: `computing ${printIdent(name)} for the existing rows rewrites the whole table ${printName(clause.table)} while reads and writes are blocked`,
          table: clause.table,
          cost: 'rewrite' as const,
          rewrite: filledByTrigger(clause, name, type, plainExpression(statement, one, constraint), expression),
        },
      ]
    })
  },
}

/** The generation expression as it stands. */
const plainExpression = ({ text, start, at }: LintStatement, { clause }: NewColumn, { location }: Constraint): string =>
  stored.exec(text.slice(at(location) - start, clause.at - start + clause.text.length))?.[1]?.trim() ?? 'null'

const stored = /\(([\s\S]*)\)\s*stored/i

/** The generation expression, with `new.` in front of its columns. */
function withNew(statement: LintStatement, one: NewColumn, constraint: Constraint): string {
  const { text, start, at } = statement
  const from = at(constraint.location) - start
  let piece = text.slice(from, one.clause.at - start + one.clause.text.length)
  const columns = [...walk(constraint.raw_expr)]
    .filter(([kind]) => kind === 'ColumnRef')
    .map(([, { location }]) => at(location as number | undefined) - start - from)
    .sort((a, b) => b - a)
  for (const offset of columns) piece = `${piece.slice(0, offset)}new.${piece.slice(offset)}`
  return stored.exec(piece)?.[1]?.trim() ?? 'null'
}

/** A plain column that a trigger keeps up to date; updating the rows fills it. */
function filledByTrigger(
  { alter, table }: Clause,
  name: string,
  type: string,
  plain: string,
  expression: string,
): Rewrite {
  const fill = printName({ schema: table.schema, name: joinName(table.name, name, 'fill') })
  const ident = printIdent(name)
  return [
    {
      sql:
        `${alter} add column ${ident} ${type};\n` +
        `create function ${fill}() returns trigger language plpgsql as $$\nbegin\n  new.${ident} := ${expression};\n  return new;\nend $$;\n` +
        `create trigger ${printIdent(joinName(table.name, name, 'fill'))} before insert or update on ${printName(table)}\n  for each row execute function ${fill}();`,
    },
    updateInBatches(table, `${ident} = ${plain}`, `${ident} is distinct from (${plain})`),
  ]
}

const dropNotNull: Rule = {
  name: 'drop-not-null',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'Programs that read the column may not expect nulls. If all of them handle nulls, say so in a comment that allows the change.',
  example: 'alter table users alter column email drop not null',
  check(statement, { isNew }) {
    return clausesOf(statement)
      .filter(({ command, table }) => command.subtype === 'AT_DropNotNull' && !isNew(table))
      .map(({ command, table, at, alter, text }) => ({
        at,
        message: `${printIdent(command.name ?? '')} of ${printName(table)} may be null from now on`,
        table,
        rewrite: [{ sql: `-- pgbosun: allow drop-not-null every reader handles null\n${alter} ${text};` }],
      }))
  },
}

/** Rules about columns. */
export const columnRules: Rule[] = [requiredColumn, volatileDefault, serialColumn, generatedColumn, dropNotNull]
