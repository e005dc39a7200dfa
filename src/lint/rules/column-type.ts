// pure
import type { Node } from 'libpg-query'
import { tableOf } from '../catalog.ts'
import { type Clause, clausesOf } from '../clauses.ts'
import { seenBy } from '../declare-alter.ts'
import { updateInBatches } from '../rewrites.ts'
import type { Rule } from '../rule.ts'
import { joinName, printIdent, printName } from '../sql.ts'
import type { LintStatement } from '../statement.ts'
import { type ColumnType, columnOf, printType, textOf, typeOf, walk } from '../tree.ts'
import type { Rewrite } from '../types.ts'

/** ALTER COLUMN … TYPE. */
export const alterColumnType: Rule = {
  name: 'alter-column-type',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why:
    'Changing a type usually makes PostgreSQL rewrite the table and rebuild its indexes while reads and writes are blocked, and programs ' +
    'that still expect the old type may break. Some changes are free, such as a longer varchar, or text instead of varchar: they are not ' +
    'reported if the files say what the old type was.',
  example: 'alter table users alter column id type bigint',
  check(statement, { isNew, catalog }) {
    const seen = seenBy('type', catalog, statement.node)
    return clausesOf(statement).flatMap((clause) => {
      const { command, table, at } = clause
      const to = columnOf(command)
      if (command.subtype !== 'AT_AlterColumnType' || !to || isNew(table)) return []
      const name = command.name ?? ''
      const old = tableOf(seen, table)?.columns.get(name)?.type
      const type = typeOf(to.typeName)
      if (isPlain(to.raw_default, name) && old && isFree(old, type)) return []
      const change = old ? `from ${printType(old)} to ${printType(type)} rewrites` : `to ${printType(type)} may rewrite`
      return [
        {
          at,
          message: `changing ${printIdent(name)} ${change} the whole table ${printName(table)} while reads and writes are blocked`,
          table,
          cost: 'rewrite' as const,
          rewrite: bySecondColumn(statement, clause, name, type, to.raw_default),
        },
      ]
    })
  },
}

/** No USING, or one that only casts the column. */
function isPlain(using: Node | undefined, column: string): boolean {
  if (!using) return true
  const inner = 'TypeCast' in using ? using.TypeCast.arg : using
  return inner !== undefined && 'ColumnRef' in inner && textOf(inner.ColumnRef.fields?.at(-1)) === column
}

/** Whether the stored rows stay valid for the new type: see ATColumnChangeRequiresRewrite in PostgreSQL. */
function isFree(from: ColumnType, to: ColumnType): boolean {
  if (from.array !== to.array || from.schema !== to.schema) return false
  const [old = Infinity, oldScale = 0] = from.numbers
  const [now = Infinity, nowScale = 0] = to.numbers
  const isText = (name: string) => name === 'text' || name === 'varchar'
  if (isText(from.name) && isText(to.name)) return to.name === 'text' || now >= (from.name === 'text' ? Infinity : old)
  if (from.name === 'cidr' && to.name === 'inet') return true
  if (from.name !== to.name) return false
  if (from.name === 'numeric')
    return to.numbers.length === 0 || (now >= old && nowScale === oldScale && from.numbers.length > 0)
  if (/^(varbit|time|timetz|timestamp|timestamptz|interval)$/.test(from.name)) return now >= old
  return from.numbers.join() === to.numbers.join()
}

/** Expand and contract: a second column, kept in sync by a trigger, filled in batches, then swapped. */
function bySecondColumn(
  statement: LintStatement,
  clause: Clause,
  name: string,
  type: ColumnType,
  using: Node | undefined,
): Rewrite {
  const { alter, table } = clause
  const [old, next] = [printIdent(name), printIdent(joinName(name, 'new'))]
  const sync = joinName(table.name, name, 'sync')
  const call = printName({ schema: table.schema, name: sync })
  const cast = `${old}::${printType(type)}`
  const value = using ? castText(statement, clause, using, name) : `new.${cast}`
  const plain = using ? (usingText(clause) ?? old) : cast
  return [
    {
      sql:
        `${alter} add column ${next} ${printType(type)};\n` +
        `create function ${call}() returns trigger language plpgsql as $$\nbegin\n  new.${next} := ${value};\n  return new;\nend $$;\n` +
        `create trigger ${printIdent(sync)} before insert or update on ${printName(table)}\n  for each row execute function ${call}();`,
    },
    updateInBatches(table, `${next} = ${plain}`, `${next} is distinct from (${plain})`),
    {
      sql:
        `-- once the indexes and constraints of ${old} exist on ${next} too\n` +
        `drop trigger ${printIdent(sync)} on ${printName(table)};\ndrop function ${call}();\n` +
        `${alter} rename column ${old} to ${printIdent(joinName(name, 'old'))};\n${alter} rename column ${next} to ${old};`,
    },
  ]
}

const usingText = ({ text }: Clause): string | undefined => /\busing\s+([\s\S]*)$/i.exec(text)?.[1]

/** The USING expression of the clause, with `new.` in front of its columns. */
function castText(statement: LintStatement, clause: Clause, using: Node, column: string): string {
  const plain = usingText(clause)
  if (plain === undefined) return `new.${printIdent(column)}`
  const begin = clause.text.length - plain.length
  const columns = [...walk(using)]
    .filter(([kind]) => kind === 'ColumnRef')
    .map(([, { location }]) => statement.at(location as number | undefined) - clause.at - begin)
  let piece = plain
  for (const offset of columns.sort((a, b) => b - a)) piece = `${piece.slice(0, offset)}new.${piece.slice(offset)}`
  return piece
}
