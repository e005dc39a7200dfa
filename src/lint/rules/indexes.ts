// pure
import type { ReindexStmt } from 'libpg-query'
import { indexOf } from '../catalog.ts'
import type { FileContext } from '../context.ts'
import type { Rule } from '../rule.ts'
import { printIdent, printName } from '../sql.ts'
import type { LintStatement } from '../statement.ts'
import { droppedNames, relationName } from '../tree.ts'
import type { Hit, TableName } from '../types.ts'

const indexNotConcurrent: Rule = {
  name: 'index-not-concurrent',
  level: 'warn',
  lock: 'ShareLock',
  why: 'CREATE INDEX blocks every write to the table until the index is built, which takes minutes on a large table. CONCURRENTLY does not; it has to run outside a transaction.',
  example: 'create index users_email on users (email)',
  check({ node, text, start }, { isNew }) {
    if (!('IndexStmt' in node) || node.IndexStmt.concurrent || !node.IndexStmt.relation) return []
    const table = relationName(node.IndexStmt.relation)
    if (isNew(table)) return []
    return [
      {
        at: start,
        message: `building an index blocks writes to ${printName(table)}`,
        table,
        cost: 'build',
        rewrite: [{ outside: true, sql: `${text.replace(/^(create\s+(?:unique\s+)?index)\b/i, '$1 concurrently')};` }],
      },
    ]
  },
}

const dropIndexNotConcurrent: Rule = {
  name: 'drop-index-not-concurrent',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'DROP INDEX takes an ACCESS EXCLUSIVE lock on the table: it waits for every running query, and all later queries wait for it. CONCURRENTLY does not block them.',
  example: 'drop index users_email',
  check({ node, text, start }, { catalog, isNewIn, table: find }) {
    if (!('DropStmt' in node) || node.DropStmt.removeType !== 'OBJECT_INDEX' || node.DropStmt.concurrent) return []
    return droppedNames(node.DropStmt.objects).flatMap((name): Hit[] => {
      const index = indexOf(catalog, name)
      const table = index && tableNameOf(index.table)
      if (isNewIn(index?.file) || (table && isNewIn(find(table)?.file))) return []
      const exists = /\bif\s+exists\b/i.test(text) ? 'if exists ' : ''
      return [
        {
          at: start,
          message: `dropping the index ${printName(name)} blocks reads and writes of its table`,
          table,
          rewrite: [{ outside: true, sql: `drop index concurrently ${exists}${printName(name)};` }],
        },
      ]
    })
  },
}

/** A table's name from its key. */
function tableNameOf(key: string): TableName {
  const dot = key.indexOf('.')
  const schema = key.slice(0, dot)
  return schema === 'public' ? { name: key.slice(dot + 1) } : { schema, name: key.slice(dot + 1) }
}

const isConcurrent = ({ params = [] }: ReindexStmt) =>
  params.some((node) => 'DefElem' in node && node.DefElem.defname === 'concurrently')

const reindexNotConcurrent: Rule = {
  name: 'reindex-not-concurrent',
  level: 'warn',
  lock: 'ShareLock',
  why: 'REINDEX blocks writes to the table, and queries that would use the index, until it is done. CONCURRENTLY blocks neither.',
  example: 'reindex table users',
  check({ node, start }, { catalog, isNew }) {
    if (!('ReindexStmt' in node) || isConcurrent(node.ReindexStmt)) return []
    const { kind, relation } = node.ReindexStmt
    if (!relation || (kind !== 'REINDEX_OBJECT_TABLE' && kind !== 'REINDEX_OBJECT_INDEX')) return []
    const name = relationName(relation)
    const index = kind === 'REINDEX_OBJECT_INDEX'
    const owner = index ? indexOf(catalog, name)?.table : undefined
    const table = index ? owner && tableNameOf(owner) : name
    if (table && isNew(table)) return []
    return [
      {
        at: start,
        message: `rebuilding ${index ? 'the index' : 'the indexes of'} ${printName(name)} blocks writes`,
        table: table || undefined,
        cost: 'build',
        rewrite: [{ outside: true, sql: `reindex ${index ? 'index' : 'table'} concurrently ${printName(name)};` }],
      },
    ]
  },
}

const invalidIndexLeft: Rule = {
  name: 'invalid-index-left',
  level: 'off',
  why:
    'A failed CREATE INDEX CONCURRENTLY leaves an invalid index behind: it slows down every write, and IF NOT EXISTS mistakes it for the real one. ' +
    'pgbosun finds and drops such an index by itself; enable this rule for files that another program applies too.',
  example: 'create index concurrently if not exists users_email on users (email)',
  mode: 'split',
  check(statement, context) {
    const { node, text, start } = statement
    if (!('IndexStmt' in node) || !node.IndexStmt.concurrent || dropsItBefore(statement, context)) return []
    const { idxname, relation } = node.IndexStmt
    if (!relation) return []
    const named = idxname === undefined ? undefined : printIdent(idxname)
    return [
      {
        at: start,
        message: `if this fails, it leaves an invalid index ${named ?? `on ${printName(relationName(relation))}`} behind`,
        table: relationName(relation),
        rewrite:
          named === undefined
            ? undefined
            : [
                {
                  outside: true,
                  sql: `drop index concurrently if exists ${named};\n${text.replace(/\bif\s+not\s+exists\s+/i, '')};`,
                },
              ],
      },
    ]
  },
}

function dropsItBefore({ node, start }: LintStatement, { statements }: FileContext): boolean {
  const wanted = 'IndexStmt' in node ? node.IndexStmt.idxname : undefined
  return statements.some(
    (other) =>
      other.start < start &&
      'DropStmt' in other.node &&
      other.node.DropStmt.removeType === 'OBJECT_INDEX' &&
      droppedNames(other.node.DropStmt.objects).some(({ name }) => name === wanted),
  )
}

/** Rules about indexes. */
export const indexRules: Rule[] = [indexNotConcurrent, dropIndexNotConcurrent, reindexNotConcurrent, invalidIndexLeft]
