// pure
/** Whether two texts differ only in CRLF, CR and LF, for example because a file was checked out on another system. */
export const isSameButLineEndings = (a: string | null, b: string | null): boolean =>
  a !== null && b !== null && a !== b && a.replace(/\r\n?/g, '\n') === b.replace(/\r\n?/g, '\n')

/** Whether two definitions mean the same: the server itself writes some definitions in two ways. */
export const isSameDefinition = (a: string | null, b: string | null): boolean =>
  a === b || (a !== null && b !== null && asRestored(a) === asRestored(b))

/**
 * The server writes `x in ('a', 'b')` of a varchar column with a cast to text[] around the array, but in a database that was once restored
 * from a dump, with a cast to text around each item.
 */
const asRestored = (definition: string) =>
  definition.replace(arrayOfVarchar, (_, items: string) => `ARRAY[${items.replace(varchar, '($&)::text')}]`)

const varchar = /'(?:[^']|'')*'::character varying/g
const arrayOfVarchar = new RegExp(`\\(ARRAY\\[((?:${varchar.source}(?:, )?)+)\\]\\)::text\\[\\]`, 'g')
