// pure
/**
 * A system catalog as an OID: the first half of the address of an object, such as (`pg_class`, 16384).
 * @see https://www.postgresql.org/docs/current/catalog-pg-depend.html
 */
export const catalog = (name: string) => `'pg_catalog.${name}'::pg_catalog.regclass`

/** An expression: the rows of a query as lines of one text, sorted bytewise. `lines('x', 'from …')`, where `x` is a text. */
export const lines = (item: string, from: string) =>
  `(select nullif(pg_catalog.string_agg(${item}, E'\\n' order by ${item} collate pg_catalog."C"), '') ${from})`

/** An expression: an array of `name=value` as a sorted list on one line; null when there are none. */
export const options = (array: string, prefix = '') =>
  `(select pg_catalog.string_agg('${prefix}' || o, ', ' order by o collate pg_catalog."C") from pg_catalog.unnest(${array}) o)`

/** An expression: only the names of an array of `name=value`. */
export const optionNames = (array: string) =>
  `(select pg_catalog.string_agg(pg_catalog.split_part(o, '=', 1), ', ' order by o collate pg_catalog."C") from pg_catalog.unnest(${array}) o)`

/** An expression: the mark of triggers and rules that do not fire normally. */
export const firing = (enabled: string) =>
  `case ${enabled} when 'D' then ' (disabled)' when 'R' then ' (enabled replica)' when 'A' then ' (enabled always)' else '' end`

/** An expression: the signature of a function, or null for none. */
export const routine = (oid: string) =>
  `case when ${oid} <> 0 then ${oid}::pg_catalog.oid::pg_catalog.regprocedure::text end`
