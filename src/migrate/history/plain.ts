// pure
import { AppError } from '../../errors.ts'
import { isServerError } from '../../postgres/server-error.ts'
import { quoteLiteral } from '../../sql/quote.ts'
import type { HistoryTable } from './history-table.ts'

/** Raised by {@link guardNative}; the server itself has no such SQLSTATE. */
const strange = 'PBS01'

/** Harmless defaults: those that tools give their columns, and literals. */
const harmlessDefault =
  `^(now\\(\\)|CURRENT_TIMESTAMP|(clock|statement|transaction)_timestamp\\(\\)|true|false|NULL::[a-z ]+|\\(?-?[0-9.]+\\)?(::[a-z ]+)?|` +
  `''([^'']|'''')*''::[a-z ]+(\\([0-9]+\\))?|nextval\\(''([^'']|'''')*''::regclass\\))$`

/** A statement that guards a tool's history; see {@link guardTable}. Empty if there is no history yet. */
export const guardNative = ({ native }: HistoryTable, mode: 'read' | 'write') =>
  native?.exists ? guardTable(native, mode) : ''

/**
 * A statement that locks a table until the end of the transaction, and fails unless it is a plain table that runs nobody's code when
 * it is read (`mode` read) or written (`mode` write). The table belongs to the application: a view, a policy, a trigger or a cast would
 * run with our rights, and so would an index on an expression or extended statistics, which the planner evaluates even for `count(*)`.
 * A superuser takes a stronger lock, so that no such index can be added in between. Skips tables of the session user and of
 * superusers. Returns no rows.
 */
export function guardTable(native: { schema: string; name: string; table: string }, mode: 'read' | 'write'): string {
  const table = quoteLiteral(native.table)
  const written = `
      union all select 'has the trigger ' || t.tgname from pg_catalog.pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal
      union all select 'has the rule ' || r.rulename from pg_catalog.pg_rewrite r where r.ev_class = c.oid
      union all select 'has the constraint ' || k.conname from pg_catalog.pg_constraint k
        where (k.conrelid = c.oid and k.contype not in ('p', 'u', 'n') or k.confrelid = c.oid) and not (k.contype = 'f' and k.conrelid = k.confrelid)
      union all select 'has the default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) from pg_catalog.pg_attrdef d
        where d.adrelid = c.oid and pg_catalog.pg_get_expr(d.adbin, d.adrelid) !~ '${harmlessDefault}'`
  const body = `
  declare problem text;
  begin
    ${
      mode === 'write'
        ? `lock table ${native.table} in share row exclusive mode;`
        : `if (select r.rolsuper from pg_catalog.pg_roles r where r.rolname = session_user) then lock table ${native.table} in row exclusive mode;
    else lock table ${native.table} in access share mode; end if;`
    }
    select p.what into problem from pg_catalog.pg_class c cross join lateral (
      select 'is not a plain table' as what where c.relkind <> 'r'
        or exists (select from pg_catalog.pg_inherits h where c.oid in (h.inhrelid, h.inhparent))
      union all select 'has row security' from pg_catalog.pg_policy p where p.polrelid = c.oid
      union all select 'has a column of the type ' || pg_catalog.format_type(a.atttypid, null) from pg_catalog.pg_attribute a
        join pg_catalog.pg_type t on t.oid = a.atttypid
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and t.typnamespace <> 'pg_catalog'::regnamespace
      union all select 'has the index ' || i.indexrelid::regclass::text || ' on an expression' from pg_catalog.pg_index i
        where i.indrelid = c.oid and (i.indexprs is not null or i.indpred is not null)
      union all select 'has the statistics object ' || s.stxname from pg_catalog.pg_statistic_ext s where s.stxrelid = c.oid
      union all select 'has a check' from pg_catalog.pg_constraint k where k.conrelid = c.oid and k.contype = 'c'${mode === 'write' ? written : ''}
      ) p where c.oid = ${table}::regclass
        and not exists (select from pg_catalog.pg_roles r where r.oid = c.relowner and (r.rolsuper or r.rolname = session_user)) limit 1;
    if problem is not null then raise exception using errcode = '${strange}', message = ${quoteLiteral(`${native.schema}.${native.name} `)} || problem; end if;
  end`
  return `do ${quoteLiteral(body)};`
}

/** Exit 12 for what {@link guardNative} found; any other error as it is. */
export function asStrange(error: unknown): unknown {
  if (!isServerError(error) || error.code !== strange) return error
  return new AppError('refused', `the history ${error.message}: its code would run with the rights of this user`, {
    hint: 'remove it, or connect as the owner of the table',
    cause: error,
  })
}
