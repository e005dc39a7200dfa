// pure
import { scan } from '../sql/scan.ts'
import { someOf } from '../units.ts'

const name = String.raw`((?:"(?:[^"]|"")+"|[^\s()",;.]+)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[^\s()",;.]+))?)`
const creates = new RegExp(
  String.raw`^create\s+(?:unlogged\s+|foreign\s+)?table\s+(?:if\s+not\s+exists\s+)?${name}`,
  'i',
)
const drops = /^drop\s+(?:foreign\s+)?table\s+(?:if\s+exists\s+)?(.*?)(?:\s+(?:cascade|restrict))?$/is
const renames = new RegExp(
  String.raw`^alter\s+(?:foreign\s+)?table\s+(?:if\s+exists\s+)?(?:only\s+)?${name}\s+rename\s+to\s+${name}`,
  'i',
)

const parents = new RegExp(String.raw`\b(?:partition\s+of|inherits\s*\()\s*${name}`, 'i')
const hidden = /^(drop\s+(schema|owned)\s|do\b.*\bdrop\b)/is

/**
 * The tables that must exist after the texts have run in this order, as far as plain statements tell: created, and neither dropped nor
 * renamed later. Empty as soon as a statement may drop more than it names: a schema, or something inside a DO block. Names without schema.
 */
export function tablesMadeBy(texts: string[]): string[] {
  const tables = new Map<string, { parent: string | undefined }>()
  const drop = (table: string) => {
    tables.delete(table)
    for (const [child, { parent }] of [...tables]) if (parent === table) drop(child)
  }
  for (const text of texts)
    for (const { start, end } of scan(text).statements) {
      const statement = withoutComments(text.slice(start, end))
      const [, made] = creates.exec(statement) ?? []
      const [, parent] = parents.exec(statement) ?? []
      if (made !== undefined && !/^pg_temp\s*\./i.test(made))
        tables.set(lastPart(made), { parent: parent && lastPart(parent) })
      for (const dropped of drops.exec(statement)?.[1]?.split(',') ?? []) drop(lastPart(dropped))
      const [, from, to] = renames.exec(statement) ?? []
      const renamed = tables.get(lastPart(from ?? ''))
      if (renamed && to !== undefined) {
        tables.delete(lastPart(from!))
        tables.set(lastPart(to), renamed)
      }
      if (hidden.test(statement)) tables.clear()
    }
  return [...tables.keys()]
}

/** Good enough for the start of a statement about a table, where there are no literals. */
const withoutComments = (statement: string) => statement.replace(/--[^\r\n]*|\/\*[\s\S]*?\*\//g, ' ').trim()

/** The name after the schema, as the server stores it: without quotes, or in lower case. */
function lastPart(written: string): string {
  const [, quoted, plain = ''] = /(?:"((?:[^"]|"")+)"|([^\s".]+))\s*$/.exec(written) ?? []
  return quoted?.replaceAll('""', '"') ?? plain.toLowerCase()
}

/**
 * Finds a database whose migrations are applied but whose tables are all gone: somebody dropped their schema, and the history is in another.
 * @param tables  how many are left outside our schema, not counting those of extensions and the tool's own history
 * @param applied texts of the applied files, in order
 * @returns a message; undefined when all is well, or when it is not known that there were tables
 */
export function emptied(tables: number, applied: () => string[]): string | undefined {
  if (tables > 0) return undefined
  const made = tablesMadeBy(applied())
  if (made.length === 0) return undefined
  const named = someOf(made)
  return `all tables are gone, although the migrations that made them are applied (${named}); restore a backup`
}
