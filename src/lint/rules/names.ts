// pure
import type { RangeVar } from 'libpg-query'
import type { Rule } from '../rule.ts'
import { printIdent, printName } from '../sql.ts'
import type { LintStatement } from '../statement.ts'
import { droppedNames, walk } from '../tree.ts'
import type { Hit } from '../types.ts'

/** Statements that fail the second time, and the words that make them safe to repeat. */
const robust: { pattern: RegExp; insert: string }[] = [
  {
    pattern:
      /^create\s+(?:unlogged\s+)?(?:table|sequence|schema|extension|materialized\s+view)\s+(?!if\s+not\s+exists\b)/i,
    insert: 'if not exists ',
  },
  {
    pattern: /^create\s+(?:unique\s+)?index\s+(?!concurrently\b)(?!if\s+not\s+exists\b)(?!on\b)/i,
    insert: 'if not exists ',
  },
  {
    pattern:
      /^drop\s+(?:table|sequence|schema|extension|materialized\s+view|view|type|domain|function|trigger)\s+(?!if\s+exists\b)/i,
    insert: 'if exists ',
  },
  { pattern: /^alter\s+type\s+\S+\s+add\s+value\s+(?!if\s+not\s+exists\b)/i, insert: 'if not exists ' },
  {
    pattern: /^alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?\S+\s+add\s+column\s+(?!if\s+not\s+exists\b)/i,
    insert: 'if not exists ',
  },
  {
    pattern: /^alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?\S+\s+drop\s+(?:column|constraint)\s+(?!if\s+exists\b)/i,
    insert: 'if exists ',
  },
  { pattern: /^create\s+(?=(?:function|procedure|view)\b)/i, insert: 'or replace ' },
]

const notIdempotent: Rule = {
  name: 'not-idempotent',
  level: 'warn',
  why:
    'The file runs statement by statement. If it is interrupted after a statement has run but before that is recorded, the statement runs ' +
    'again, and fails because its work is already done.',
  example: 'alter table users add column note text;\ncreate index concurrently users_note on users (note)',
  mode: 'split',
  check({ text, start }, context) {
    if (context.statements.length < 2 || context.inTransaction) return []
    const found = robust.find(({ pattern }) => pattern.test(text))
    if (!found) return []
    const sql = `${text.replace(found.pattern, (match) => match + found.insert)};`
    return [{ at: start, message: 'this statement fails if it runs a second time', rewrite: [{ outside: true, sql }] }]
  },
}

const unqualifiedName: Rule = {
  name: 'unqualified-name',
  level: 'off',
  why: 'Which table is meant depends on the search path of whoever applies the file. Write the schema in front of the name. Enable this rule if there are several schemas.',
  example: 'create table users (id bigint)',
  check(statement) {
    const withs = new Set(
      [...walk(statement.node)].filter(([kind]) => kind === 'CommonTableExpr').map(([, { ctename }]) => ctename),
    )
    const ranges = [...relations(statement)].filter(
      ({ schemaname, relname, relpersistence }) => !schemaname && !withs.has(relname) && relpersistence !== 't',
    )
    const hits = ranges.map(({ relname = '', location }): Hit => {
      const at = statement.at(location)
      return { at, message: `${printIdent(relname)} has no schema`, table: { name: relname } }
    })
    const { node } = statement
    if (
      !('DropStmt' in node) ||
      !/^OBJECT_(TABLE|INDEX|VIEW|MATVIEW|SEQUENCE|TYPE)$/.test(node.DropStmt.removeType ?? '')
    )
      return hits
    return droppedNames(node.DropStmt.objects)
      .filter(({ schema }) => schema === undefined)
      .map((name) => ({ at: statement.start, message: `${printName(name)} has no schema` }))
  },
}

/** Every relation that a statement names: as a node, or as the `relation` of another one. */
function* relations({ node }: LintStatement): Generator<RangeVar> {
  for (const [kind, content] of walk(node)) {
    if (kind === 'RangeVar') yield content as RangeVar
    for (const key of ['relation', 'pktable', 'view', 'rel', 'sequence'])
      if (isRange(content[key])) yield content[key] as RangeVar
  }
}

const isRange = (value: unknown) => typeof value === 'object' && value !== null && 'relname' in value

const identifierTooLong: Rule = {
  name: 'identifier-too-long',
  level: 'warn',
  why: 'PostgreSQL truncates names to 63 bytes without an error: the object gets another name than the one in the file, and two long names may become the same. Choose a shorter name.',
  example: `create table ${'a'.repeat(64)} (id bigint)`,
  check({ start, end }, { longNames }) {
    return longNames()
      .filter(({ at }) => at >= start && at < end)
      .map(({ text, at, bytes }) => ({
        at,
        message: `the name ${text.slice(0, 20)}… has ${bytes} bytes and is truncated to 63`,
      }))
  },
}

/** Rules about names. */
export const nameRules: Rule[] = [notIdempotent, unqualifiedName, identifierTooLong]
