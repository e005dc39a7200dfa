// pure
/** A name as an SQL identifier, always quoted. */
export const quoteIdent = (name: string) => `"${name.replaceAll('"', '""')}"`

/** `schema.name`, both quoted. */
export const quoteName = (schema: string, name: string) => `${quoteIdent(schema)}.${quoteIdent(name)}`

/** Text as an SQL literal that works with either setting of standard_conforming_strings. */
export function quoteLiteral(text: string): string {
  const doubled = text.replaceAll("'", "''")
  return doubled.includes('\\') ? ` E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`
}

/**
 * `users` or `app.users` as written in the configuration, split into schema and name.
 * A part may be quoted as in SQL; without a schema it is `public`.
 */
export function splitName(text: string): { schema: string; name: string } {
  const parts = [...text.matchAll(/"((?:[^"]|"")*)"|([^."]+)/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  )
  const [first = '', second] = parts
  return second === undefined ? { schema: 'public', name: first } : { schema: first, name: second }
}

/** A name cut to a number of bytes in UTF-8, at the end of a character, so that names made from it stay within PostgreSQL's 63. */
export function cutName(name: string, maxBytes = 40): string {
  let kept = ''
  for (const character of name) {
    if (Buffer.byteLength(kept + character) > maxBytes) break
    kept += character
  }
  return kept
}
