// pure
import { joinName, printIdent, printName } from './sql.ts'
import type { Rewrite, TableName } from './types.ts'

/** Rows in one batch: few enough for short transactions and little replication lag. */
const batchRows = 10_000

/** Makes a column NOT NULL without a long lock: SET NOT NULL skips the scan if a validated check proves that there are no nulls. */
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

/** Updates the rows that meet a condition, in batches. A row must no longer meet it once it is updated. */
export const updateInBatches = (table: TableName, set: string, where: string): Rewrite[number] =>
  repeated(`update ${printName(table)} set ${set}`, table, where)

/** Deletes rows in batches; all rows if there is no condition. */
export const deleteInBatches = (table: TableName, where: string | undefined): Rewrite[number] =>
  repeated(`delete from ${printName(table)}`, table, where)

/** A DO block may commit if it is sent alone, outside a transaction. */
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

/** The same statement with a comment that allows it: for rules where only a human decision makes it safe. */
export const allowed = (rule: string, reason: string, sql: string): Rewrite[number] => ({
  sql: `-- pgbosun: allow ${rule} ${reason}\n${sql.replace(/;?$/, ';')}`,
})
