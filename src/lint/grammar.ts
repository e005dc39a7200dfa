// pure
/** The major version of PostgreSQL whose grammar reads the files: that of libpg-query. */
export const grammarMajor = 18

/**
 * Whether files are for a server that may know statements which the grammar does not: a syntax error is then only a warning.
 * @param server major version; undefined if it is not known
 */
export const isNewer = (server: number | undefined): boolean => server !== undefined && server > grammarMajor
