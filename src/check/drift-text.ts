// pure
/** Whether two texts differ in nothing but CRLF, CR and LF: a file checked out on another system, for example. */
export const isSameButLineEndings = (a: string | null, b: string | null): boolean =>
  a !== null && b !== null && a !== b && a.replace(/\r\n?/g, '\n') === b.replace(/\r\n?/g, '\n')

/** Whether two definitions say the same, as far as the server itself writes one thing in two ways. */
export const isSameDefinition = (a: string | null, b: string | null): boolean =>
  a === b || (a !== null && b !== null && asRestored(a) === asRestored(b))

/**
 * `x in ('a', 'b')` of a varchar column is written with the cast to text[] around the array; in a database that was once restored from
 * a dump, with a cast to text around each item.
 */
const asRestored = (definition: string) =>
  definition.replace(arrayOfVarchar, (_, items: string) => `ARRAY[${items.replace(varchar, '($&)::text')}]`)

const varchar = /'(?:[^']|'')*'::character varying/g
const arrayOfVarchar = new RegExp(`\\(ARRAY\\[((?:${varchar.source}(?:, )?)+)\\]\\)::text\\[\\]`, 'g')
