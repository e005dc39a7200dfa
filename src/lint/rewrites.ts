// pure
import { joinName, printIdent, printName } from './sql.ts'
import type { Rewrite, TableName } from './types.ts'

/** Rows that one step of filling or deleting takes: short transactions, and little for replicas to catch up with. */
export const batchRows = 10_000

/** Makes a column NOT NULL without a long lock: SET NOT NULL does not read the table when a validated check says the same. */
export function setNotNullSafely(table: TableName, column: string, others = ''): Rewrite {
  const check = printIdent(joinName(table.name, column, 'not_null'))
  const alter = `alter table ${printName(table)}`
  return [
    { sql: `${others}${alter} add constraint ${check} check (${printIdent(column)} is not null) not valid;` },
    {
      sql: `${alter} validate constraint ${check};\n${alter} alter column ${printIdent(column)} set not null;\n${alter} drop constraint ${check};`,
    },
  ]
}

/** Changes the rows that a condition finds, a part at a time; what is changed must not meet the condition any more. */
export const updateInBatches = (table: TableName, set: string, where: string): Rewrite[number] =>
  repeated(`update ${printName(table)} set ${set}`, table, where)

/** Deletes rows, a part at a time; all without a condition. */
export const deleteInBatches = (table: TableName, where: string | undefined): Rewrite[number] =>
  repeated(`delete from ${printName(table)}`, table, where)

/** A DO block may commit when it is sent alone, outside a transaction. */
const repeated = (statement: string, table: TableName, where: string | undefined): Rewrite[number] => ({
  outside: true,
  sql: [
    'do $batches$ begin',
    '  loop',
    `    ${statement}`,
    `     where ctid in (select ctid from ${printName(table)}${where === undefined ? '' : ` where ${where}`} limit ${batchRows});`,
    '    exit when not found;',
    '    commit;',
    '  end loop;',
    'end $batches$;',
  ].join('\n'),
})

/** The same statement with the comment that allows it: for what nothing but a decision makes safe. */
export const allowed = (rule: string, reason: string, sql: string): Rewrite[number] => ({
  sql: `-- pgbosun: allow ${rule} ${reason}\n${sql.replace(/;?$/, ';')}`,
})
