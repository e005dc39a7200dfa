/** One line per event: instant, words, then `name=value` in a form that is easy to search for. */
export function log(words: string, fields: Record<string, string | number> = {}): void {
  const named = Object.entries(fields).map(
    ([name, value]) => `${name}=${/[\s"]/.test(`${value}`) ? JSON.stringify(value) : value}`,
  )
  console.log([new Date().toISOString(), words, ...named].join(' '))
}
