// pure
import type { Node } from 'libpg-query'
import { textsOf, walk } from './tree.ts'

/**
 * Stable and immutable functions that are common in defaults: PostgreSQL evaluates them once for a new column, without rewriting
 * the rows. Any other function call in a default may be volatile.
 */
const stable = new Set(
  `now statement_timestamp transaction_timestamp current_setting current_database current_schema current_user session_user
   to_char to_date to_timestamp to_number date_trunc timezone make_interval make_date make_timestamp make_timestamptz
   jsonb_build_object jsonb_build_array json_build_object json_build_array array_fill coalesce lower upper concat concat_ws
   md5 sha256 encode decode length btrim ltrim rtrim replace repeat round floor ceil abs greatest least int4range int8range
   numrange tsrange tstzrange daterange row_to_json to_json to_jsonb format quote_literal quote_ident pg_current_xact_id
   txid_current inet_client_addr tsvector to_tsvector point box polygon left right substring substr interval`.split(
    /\s+/,
  ),
)

/** Known to be volatile: evaluated for every row. */
const volatile = new Set(
  `random clock_timestamp timeofday gen_random_uuid uuidv4 uuidv7 uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 nextval
   currval lastval setval gen_random_bytes pg_sleep gen_salt random_normal`.split(/\s+/),
)

/** The function in a default that makes PostgreSQL rewrite the table; undefined if there is none. `sure`: it is known to be volatile. */
export function volatileCall(expression: Node | undefined): { name: string; sure: boolean } | undefined {
  const names = [...walk(expression)]
    .filter(([kind]) => kind === 'FuncCall')
    .map(([, call]) => textsOf(call.funcname as Node[]))
    .map((parts) => ({ name: parts.at(-1) ?? '', own: parts.length > 1 && parts[0] !== 'pg_catalog' }))
  const sure = names.find(({ name }) => volatile.has(name))
  if (sure) return { name: sure.name, sure: true }
  const unknown = names.find(({ name, own }) => own || !stable.has(name))
  return unknown && { name: unknown.name, sure: false }
}
