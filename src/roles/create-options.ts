// pure
import { usage } from '../errors.ts'
import type { CreateOptions, CurrentDatabaseEntry, DesiredDatabase } from './types.ts'

/** @throws {AppError} `usage` for a locale provider that this server does not have */
export function refuseProviders(databases: DesiredDatabase[], major: number): void {
  for (const { name, create } of databases) {
    const provider = create.localeProvider ?? (create.icuLocale === undefined ? 'libc' : 'icu')
    const since = { libc: 0, icu: 15, builtin: 17 }[provider]
    if (major < since)
      throw usage(
        `databases.${name}.create needs the locale provider ${provider}, which PostgreSQL ${major} does not have`,
        {
          hint: `use PostgreSQL ${since} or newer, or a locale of libc`,
        },
      )
  }
}

/** What an existing database was not created with, in words. */
export function immutableDifferences(create: CreateOptions, existing: CurrentDatabaseEntry | undefined): string[] {
  if (existing === undefined) return []
  const locale = existing.localeProvider === 'builtin' ? (existing.icuLocale ?? '') : existing.collate
  const plain = (name: string) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
  const differ = (declared: string | undefined, actual: string) =>
    declared !== undefined && plain(declared) !== plain(actual)
  return [
    ...(differ(create.encoding, existing.encoding)
      ? [`encoding ${existing.encoding}, declared ${create.encoding}`]
      : []),
    ...(differ(create.locale, locale) ? [`locale ${locale}, declared ${create.locale}`] : []),
    ...(differ(create.localeProvider, existing.localeProvider)
      ? [`locale provider ${existing.localeProvider}, declared ${create.localeProvider}`]
      : []),
    ...(differ(create.icuLocale, existing.icuLocale ?? 'none')
      ? [`ICU locale ${existing.icuLocale ?? 'none'}, declared ${create.icuLocale}`]
      : []),
  ].map((text) => `database ${existing.name} has ${text}: that cannot be changed after creation`)
}
