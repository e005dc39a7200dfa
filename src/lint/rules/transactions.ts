// pure
import { plural, someOf } from '../../units.ts'
import { beginsTransaction, endsTransaction, type FileContext } from '../context.ts'
import { blockedTables } from '../locks.ts'
import type { Rule } from '../rule.ts'
import { isSlow } from '../slow.ts'
import { printName } from '../sql.ts'
import type { LintStatement } from '../statement.ts'
import type { Hit } from '../types.ts'
import { inBatches } from './updates.ts'

/** `CREATE INDEX CONCURRENTLY` and the like, in the words of an error message; undefined for other statements. */
function concurrentWork({ node }: LintStatement): string | undefined {
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
function forbiddenWork({ node }: LintStatement): string | undefined {
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
  why: 'PostgreSQL refuses CONCURRENTLY inside a transaction (25001). Put the statement in a file of its own that runs outside a transaction.',
  example: 'begin;\ncreate index concurrently users_email on users (email);\ncommit',
  mode: 'split',
  check: (statement, context) => refused(statement, context, concurrentWork(statement)),
}

const forbiddenInTransaction: Rule = {
  name: 'forbidden-in-transaction',
  level: 'error',
  why: 'PostgreSQL refuses this statement inside a transaction (25001). Put it in a file of its own that runs outside a transaction.',
  example: 'begin;\nvacuum users;\ncommit',
  mode: 'split',
  check: (statement, context) => refused(statement, context, forbiddenWork(statement)),
}

function refused({ start, text }: LintStatement, { inTransaction }: FileContext, work: string | undefined): Hit[] {
  if (!inTransaction || !work) return []
  return [
    { at: start, message: `${work} cannot run inside a transaction`, rewrite: [{ outside: true, sql: `${text};` }] },
  ]
}

const concurrentlyNotAlone: Rule = {
  name: 'concurrently-not-alone',
  level: 'warn',
  why:
    'If one statement cannot run inside a transaction, the whole file runs without one: when a statement fails, those before it stay applied. ' +
    'Tools that send the whole file as one query fail at once (25001).',
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
        message: `because of ${work}, the statements of this file run one by one, each in its own transaction`,
        rewrite: [{ sql: rest }, { outside: true, sql: `${statement.text};` }],
      },
    ]
  },
}

const nestedTransaction: Rule = {
  name: 'nested-or-uncommitted-transaction',
  level: 'error',
  why:
    'A COMMIT in a file ends the transaction that also records the file as applied, so that a failed file stays half applied. ' +
    'A BEGIN without COMMIT loses everything. Remove both: pgbosun begins and commits the transaction.',
  example: 'begin;\nalter table users add column email text;\ncommit',
  check(statement, { file, statements }) {
    const word = statement.text.split(/\s/, 1)[0]?.toUpperCase()
    const hit = (message: string): Hit[] => [{ at: statement.start, message: `${word}${message}` }]
    if (!('TransactionStmt' in statement.node)) return []
    if (file.mode === 'wrapped') return hit(': the file already runs in its own transaction')
    if (!beginsTransaction(statement)) return []
    const number = statements.indexOf(statement)
    const last = statements.slice(0, number).findLast((one) => beginsTransaction(one) || endsTransaction(one))
    if (last && beginsTransaction(last)) return hit(' inside a transaction that is already open')
    return statements.slice(number).some(endsTransaction)
      ? []
      : hit(' without COMMIT: everything after it is rolled back')
  },
}

const severalHotTables: Rule = {
  name: 'several-hot-tables-in-one-tx',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'The first table stays blocked while the file waits for the second, and a program that locks them in the opposite order causes a deadlock. Change each table in a file of its own.',
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
        message: `${printName(table)} is locked while ${someOf(held, ' and ')} ${plural(held.length, 'is', 'are')} still blocked`,
        table,
        rewrite: [...earlier.map(({ text }) => ({ sql: `${text};` })), { sql: `${statement.text};` }],
      },
    ]
  },
}

/** The first statements of the transaction that block a table: a few are enough to tell. */
function heldBefore(context: FileContext): LintStatement[] {
  const found: LintStatement[] = []
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
  why: 'The changed table stays blocked, for reads too, until all the rows are written. Fill them in a later file, in batches.',
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

const fill = (statement: LintStatement, context: FileContext) =>
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
