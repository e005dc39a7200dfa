// pure
import type { PartitionCmd } from 'libpg-query'
import { type Clause, clausesOf } from '../clauses.ts'
import type { FileContext } from '../context.ts'
import type { Rule } from '../rule.ts'
import { joinName, printIdent, printName } from '../sql.ts'
import { relationName } from '../tree.ts'
import type { Hit, Rewrite } from '../types.ts'

const partitionOf = ({ command: { def } }: Clause): PartitionCmd | undefined =>
  def && 'PartitionCmd' in def ? def.PartitionCmd : undefined

const detachPartition: Rule = {
  name: 'detach-partition-not-concurrent',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why: 'DETACH PARTITION takes an ACCESS EXCLUSIVE lock on the partitioned table: it waits for every running query, and all later queries wait for it. CONCURRENTLY (PostgreSQL 14 and later) does not block them, but is not possible while there is a default partition.',
  example: 'alter table events detach partition events_2024',
  check(statement, { isNew }) {
    return clausesOf(statement).flatMap((clause): Hit[] => {
      const part = clause.command.subtype === 'AT_DetachPartition' ? partitionOf(clause) : undefined
      if (!part?.name || part.concurrent || isNew(clause.table)) return []
      const name = printName(relationName(part.name))
      return [
        {
          at: clause.at,
          message: `detaching ${name} blocks reads and writes of ${printName(clause.table)}`,
          table: clause.table,
          rewrite: [{ outside: true, sql: `${clause.alter} detach partition ${name} concurrently;` }],
        },
      ]
    })
  },
}

const attachPartition: Rule = {
  name: 'attach-partition-scan',
  level: 'warn',
  lock: 'AccessExclusiveLock',
  why:
    'Unless a CHECK constraint already proves the partition bounds, PostgreSQL checks every row of the new partition, and of the default ' +
    'partition if there is one, while reads and writes of them are blocked.',
  example:
    'create table events (id bigint) partition by range (id);\nalter table events attach partition events_old for values from (0) to (1000)',
  check(statement, context) {
    return clausesOf(statement).flatMap((clause): Hit[] => {
      const part = clause.command.subtype === 'AT_AttachPartition' ? partitionOf(clause) : undefined
      if (!part?.name || part.bound?.is_default) return []
      const table = relationName(part.name)
      if (context.isNew(table) || hasCheck(table, context)) return []
      return [
        {
          at: clause.at,
          message: `every row of ${printName(table)} is checked against the partition bounds while reads and writes are blocked`,
          table,
          cost: 'scan',
          rewrite: checkFirst(clause, part, context),
        },
      ]
    })
  },
}

/** A validated check may imply the bounds; only the server knows whether it does. */
const hasCheck = (name: Clause['table'], { table: find }: FileContext) =>
  [...(find(name)?.constraints.values() ?? [])].some(
    ({ kind, validated, notNullColumn }) => kind === 'check' && validated && notNullColumn === undefined,
  )

/** First a check with the bounds, validated without blocking: then the server skips the scan. For a single range column only. */
function checkFirst(
  { text, alter, table }: Clause,
  { name }: PartitionCmd,
  { table: find }: FileContext,
): Rewrite | undefined {
  const [, from, to] = /\bfor\s+values\s+from\s*\(([^,()]+)\)\s*to\s*\(([^,()]+)\)/i.exec(text) ?? []
  const [column, ...others] = find(table)?.partitionKey ?? []
  if (!name || from === undefined || to === undefined || !column || others.length > 0) return undefined
  const part = relationName(name)
  const check = printIdent(joinName(part.name, 'bounds'))
  const bounds = [
    `${printIdent(column)} is not null`,
    ...(/^\s*minvalue\s*$/i.test(from) ? [] : [`${printIdent(column)} >= ${from.trim()}`]),
    ...(/^\s*maxvalue\s*$/i.test(to) ? [] : [`${printIdent(column)} < ${to.trim()}`]),
  ]
  return [
    { sql: `alter table ${printName(part)} add constraint ${check} check (${bounds.join(' and ')}) not valid;` },
    { sql: `alter table ${printName(part)} validate constraint ${check};` },
    { sql: `${alter} ${text};\nalter table ${printName(part)} drop constraint ${check};` },
  ]
}

/** Rules about partitions. */
export const partitionRules: Rule[] = [detachPartition, attachPartition]
