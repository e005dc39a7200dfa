// pure
/** Those with exactly this name, else those whose name differs in case only: SQLite ignores case, and PostgreSQL folds what is not quoted. */
export function matchName<T extends { name: string }>(name: string, among: readonly T[]): T[] {
  const exact = among.filter((one) => one.name === name)
  return exact.length > 0 ? exact : among.filter((one) => one.name.toLowerCase() === name.toLowerCase())
}
