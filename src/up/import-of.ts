import type { Config } from '../config/schema.ts'
import type { Context } from '../run/context.ts'

type Import = NonNullable<Config['import']>

/** The import of a SQLite file. */
export type FileImport = Import & { sqlite: string; schema: string; types: Record<string, string> }

/** The import of a whole database: of another PostgreSQL, or of a backup. */
export type WholeImport = Import & ({ url: NonNullable<Import['url']> } | { backup: string })

const configured = ({ loaded, isTarget }: Context): Import | undefined =>
  loaded.config.import !== undefined && isTarget() ? loaded.config.import : undefined

/** The import of a file that is configured, where the command works in the target database; its code is only loaded then. */
export function importOf(context: Context): FileImport | undefined {
  const found = configured(context)
  return found?.sqlite === undefined
    ? undefined
    : { ...found, sqlite: found.sqlite, schema: found.schema ?? 'public', types: found.types ?? {} }
}

/** The same for one of a whole database, which comes before the migrations. */
export function wholeImportOf(context: Context): WholeImport | undefined {
  const found = configured(context)
  if (found?.url !== undefined) return { ...found, url: found.url }
  return found?.backup !== undefined ? { ...found, backup: found.backup } : undefined
}

/** Where the step `import` stands in `up`; undefined without one. */
export const importPlace = (context: Context): 'before' | 'after' | undefined =>
  wholeImportOf(context) ? 'before' : importOf(context) ? 'after' : undefined
