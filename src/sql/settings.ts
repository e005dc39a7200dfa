// pure
import { quoteIdent, quoteLiteral } from './quote.ts'

/**
 * Settings that PostgreSQL stores as a list of names, each quoted if necessary: one string with commas would become a single strange
 * name. They have GUC_LIST_QUOTE in PostgreSQL's sources; pg_dump has the same list (variable_is_guc_list_quote).
 */
const lists = new Set([
  'search_path',
  'local_preload_libraries',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
])

export const isListSetting = (name: string) => lists.has(name.toLowerCase())

/** Settings for which `''` means the same as an empty list: no schema has an empty name. */
const toleratesEmptyName = (name: string) => name.toLowerCase() === 'search_path'

/** The unquoted names in a list setting such as `a, "b c"`. An empty list may be stored as one empty name. */
export function splitList(text: string): string[] {
  if (text.trim() === '' || text.trim() === '""') return []
  return [...text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/g)]
    .filter(([whole], i, all) => whole !== '' || i < all.length - 1)
    .map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? (plain ?? '').trim())
}

/** Whether the stored text of a setting has this value. */
export function sameSetting(name: string, stored: string, value: string | string[]): boolean {
  if (!Array.isArray(value)) return stored === value
  if (value.length === 0) return stored === '' || (stored === '""' && toleratesEmptyName(name))
  const items = splitList(stored)
  return items.length === value.length && items.every((item, i) => item === value[i])
}

/** Statements, with their semicolons, for settings whose values are texts from a URL. Lists are split first. */
export const setSettings = (settings: Readonly<Record<string, string>>, local: 'local ' | '') =>
  Object.entries(settings)
    .map(([name, text]) => {
      const items = isListSetting(name) ? splitList(text) : [text]
      return `set ${local}${identOf(name)} to ${items.length === 0 ? "''" : items.map(quoteLiteral).join(', ')};`
    })
    .join('')

/** Statements that reset these settings for the rest of the transaction. */
export const unsetLocally = (settings: Readonly<Record<string, string>>) =>
  Object.keys(settings)
    .map((name) => `set local ${identOf(name)} to default;`)
    .join('')

const identOf = (name: string) => name.split('.').map(quoteIdent).join('.')

/**
 * The message that stores a setting. SET stores an empty list as one empty name, `""`, and a session that has to load a library of that
 * name cannot start. Only `from current` stores an empty list.
 *
 * @param whose `role "a"`, `database "d"`, `role "a" in database "d"`
 */
export function storeSetting(whose: string, name: string, value: string | string[]): string {
  const ident = identOf(name)
  const items = Array.isArray(value) ? value : [value]
  if (items.length === 0 && !toleratesEmptyName(name))
    return `select pg_catalog.set_config(${quoteLiteral(name)}, '', true); alter ${whose} set ${ident} from current`
  return `alter ${whose} set ${ident} to ${items.length === 0 ? "''" : items.map(quoteLiteral).join(', ')}`
}
