import { quoteIdent, quoteLiteral } from '../db/sql.ts'

/** Settings that PostgreSQL stores as a list of names. One string with commas would become a single odd name. */
const lists = new Set([
  'search_path',
  'local_preload_libraries',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
])

/** The value of a setting in the configuration, as it is sent: booleans as `on` and `off`, lists as lists. */
export function settingValue(name: string, value: string | number | boolean | string[]): string | string[] {
  if (Array.isArray(value)) return value
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  return lists.has(name.toLowerCase()) ? splitList(String(value)) : String(value)
}

/** Whether the stored text of a setting is the declared value. */
export function sameSetting(stored: string, value: string | string[]): boolean {
  if (!Array.isArray(value)) return stored === value
  const items = splitList(stored)
  return items.length === value.length && items.every((item, i) => item === value[i])
}

/** `"name" to 'a', 'b'`: the part behind `alter role … set`. */
export function settingSql(name: string, value: string | string[]): string {
  const items = Array.isArray(value) ? value : [value]
  return `${quoteIdent(name)} to ${items.length === 0 ? "''" : items.map(quoteLiteral).join(', ')}`
}

/** The parts of `a, "b c"`, without quotes; an empty list is one empty name. */
function splitList(text: string): string[] {
  if (text.trim() === '' || text === '""') return []
  return [...text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/g)]
    .filter(([whole], i, all) => whole !== '' || i < all.length - 1)
    .map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? (plain ?? '').trim())
}
