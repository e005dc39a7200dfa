/** One line per event: time, words, then `name=value` pairs that are easy to search for. */
export function log(words: string, fields: Record<string, string | number> = {}): void {
  const named = Object.entries(fields).map(
    ([name, value]) => `${name}=${/[\s"]/.test(`${value}`) ? JSON.stringify(value) : value}`,
  )
  console.log([new Date().toISOString(), words, ...named].join(' '))
}
