// pure
import { plural } from '../../units.ts'
import { beginsTransaction, endsTransaction, type FileContext } from '../context.ts'
import { blockedTables } from '../locks.ts'
import type { Rule } from '../rule.ts'
import { isSlow } from '../slow.ts'
import { printName } from '../sql.ts'
import type { Statement } from '../statement.ts'
import type { Hit } from '../types.ts'
import { inBatches } from './updates.ts'

/** `CREATE INDEX CONCURRENTLY` and the like, in the words of an error message; undefined for other statements. */
function concurrentWork({ node }: Statement): string | undefined {
  if ('IndexStmt' in node && node.IndexStmt.concurrent) return 'CREATE INDEX CONCURRENTLY'
  if ('DropStmt' in node && node.DropStmt.concurrent) return 'DROP INDEX CONCURRENTLY'
  if ('ReindexStmt' in node)
    return node.ReindexStmt.params?.some((one) => 'DefElem' in one && one.DefElem.defname === 'concurrently')
      ? 'REINDEX CONCURRENTLY'
      : undefined
  if (!('AlterTableStmt' in node)) return undefined
  const isDetach = node.AlterTableStmt.cmds?.some((one) => {
    const def = 'AlterTableCmd' in one ? one.AlterTableCmd.def : undefined
    return def && 'PartitionCmd' in def && def.PartitionCmd.concurrent
  })
  return isDetach ? 'DETACH PARTITION CONCURRENTLY' : undefined
}

/** Other statements that PostgreSQL refuses inside a transaction (PreventInTransactionBlock). */
function forbiddenWork({ node }: Statement): string | undefined {
  if ('VacuumStmt' in node) return node.VacuumStmt.is_vacuumcmd ? 'VACUUM' : undefined
  if ('CreatedbStmt' in node) return 'CREATE DATABASE'
  if ('DropdbStmt' in node) return 'DROP DATABASE'
  if ('CreateTableSpaceStmt' in node) return 'CREATE TABLESPACE'
  if ('DropTableSpaceStmt' in node) return 'DROP TABLESPACE'
  if ('AlterSystemStmt' in node) return 'ALTER SYSTEM'
  if ('ClusterStmt' in node) return node.ClusterStmt.relation ? undefined : 'CLUSTER without a table'
  if ('DiscardStmt' in node) return node.DiscardStmt.target === 'DISCARD_ALL' ? 'DISCARD ALL' : undefined
  const kind = 'ReindexStmt' in node ? node.ReindexStmt.kind : undefined
  return kind && /SCHEMA|SYSTEM|DATABASE/.test(kind) ? kind.replace('REINDEX_OBJECT_', 'REINDEX ') : undefined
}

const concurrentlyInTransaction: Rule = {
  name: 'concurrently-in-transaction',
  level: 'error',
  why: 'PostgreSQL refuses CONCURRENTLY between BEGIN and COMMIT (25001).',
  example: 'begin;\ncreate index concurrently users_email on users (email);\ncommit',
  mode: 'split',
  check: (statement, context) => refused(statement, context, concurrentWork(statement)),
}

const forbiddenInTransaction: Rule = {
  name: 'forbidden-in-transaction',
  level: 'error',
  why: 'PostgreSQL refuses this statement between BEGIN and COMMIT (25001).',
  example: 'begin;\nvacuum users;\ncommit',
  mode: 'split',
  check: (statement, context) => refused(statement, context, forbiddenWork(statement)),
}

function refused({ start, text }: Statement, { inTransaction }: FileContext, work: string | undefined): Hit[] {
  if (!inTransaction || !work) return []
  return [{ at: start, message: `${work} cannot run in a transaction`, rewrite: [{ outside: true, sql: `${text};` }] }]
}

const concurrentlyNotAlone: Rule = {
  name: 'concurrently-not-alone',
  level: 'warn',
  why:
    'A statement that cannot run in a transaction takes the whole file out of its own: when a statement fails, the ones before it stay. ' +
    'Tools that send the file as one message fail at once (25001).',
  example: 'alter table users add column note text;\ncreate index concurrently users_note on users (note)',
  mode: 'split',
  check(statement, context) {
    const { file, statements } = context
    const work = file.demanded ? (concurrentWork(statement) ?? forbiddenWork(statement)) : undefined
    if (!work || context.inTransaction) return []
    const others = statements.filter((one) => (concurrentWork(one) ?? forbiddenWork(one)) === undefined)
    if (others.length === 0) return []
    const rest = others.map(({ text }) => `${text};`).join('\n')
    return [
      {
        at: statement.start,
        message: `${work} makes the statements of the file run one by one, each in a transaction of its own`,
        rewrite: [{ sql: rest }, { outside: true, sql: `${statement.text};` }],
      },
    ]
  },
}

const nestedTransaction: Rule = {
  name: 'nested-or-uncommitted-transaction',
  level: 'error',
  why:
    'A COMMIT inside a file ends the transaction that records the file with it, so that half of a failed file stays; ' +
    'a BEGIN without COMMIT loses everything.',
  example: 'begin;\nalter table users add column email text;\ncommit',
  check(statement, { file, statements }) {
    const word = statement.text.split(/\s/, 1)[0]?.toUpperCase()
    const hit = (message: string): Hit[] => [{ at: statement.start, message: `${word}${message}` }]
    if (!('TransactionStmt' in statement.node)) return []
    if (file.mode === 'wrapped') return hit(': the file already runs in one transaction of its own')
    if (!beginsTransaction(statement)) return []
    const number = statements.indexOf(statement)
    const last = statements.slice(0, number).findLast((one) => beginsTransaction(one) || endsTransaction(one))
    if (last && beginsTransaction(last)) return hit(' inside a transaction that is open already')
    return statements.slice(number).some(endsTransaction) ? [] : hit(' without COMMIT: nothing of it stays')
  },
}

const severalHotTables: Rule = {
  name: 'several-hot-tables-in-one-tx',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'The first table stays blocked while the file waits for the second, and two programs that take them in another order deadlock.',
  example: 'alter table users add column note text;\nalter table orders add column note text',
  check(statement, context) {
    if (context.isDump) return []
    const blocked = blockedTables(statement, context)
    if (blocked.length === 0) return []
    const earlier = heldBefore(context)
    const held = [...new Set(earlier.flatMap((one) => blockedTables(one, context)).map(printName))]
    const table = blocked.find((one) => !held.includes(printName(one)))
    if (!table || held.length === 0) return []
    return [
      {
        at: statement.start,
        message: `${printName(table)} is locked while ${held.join(' and ')} ${plural(held.length, 'is', 'are')} still blocked`,
        table,
        rewrite: [...earlier.map(({ text }) => ({ sql: `${text};` })), { sql: `${statement.text};` }],
      },
    ]
  },
}

/** The first statements of the transaction that block a table: a few are enough to tell. */
function heldBefore(context: FileContext): Statement[] {
  const found: Statement[] = []
  for (const one of context.before) {
    if (blockedTables(one, context).length > 0) found.push(one)
    if (found.length === 3) break
  }
  return found
}

const ddlAndBackfill: Rule = {
  name: 'ddl-and-backfill-same-tx',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'The table that was changed stays blocked, for readers too, until the rows are written as well.',
  example: 'alter table users add column note text;\nupdate users set note = name where note is null',
  check(statement, context) {
    const { node } = statement
    const isFill = 'UpdateStmt' in node || 'DeleteStmt' in node || 'InsertStmt' in node || 'MergeStmt' in node
    if (!isFill || !isSlow(node, context)) return []
    const changes = heldBefore(context)
    const [held] = changes.flatMap((one) => blockedTables(one, context))
    if (!held) return []
    return [
      {
        at: statement.start,
        message: `${printName(held)} stays blocked until these rows are written`,
        table: held,
        rewrite: [{ sql: changes.map(({ text }) => `${text};`).join('\n') }, fill(statement, context)],
      },
    ]
  },
}

const fill = (statement: Statement, context: FileContext) =>
  inBatches(statement, context) ?? { sql: `${statement.text};` }

/** Rules about transactions. */
export const transactionRules: Rule[] = [
  concurrentlyInTransaction,
  concurrentlyNotAlone,
  forbiddenInTransaction,
  nestedTransaction,
  severalHotTables,
  ddlAndBackfill,
]
