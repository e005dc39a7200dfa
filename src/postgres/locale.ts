// pure
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'

/** How a database sorts and stores text, which can only be set when it is created. */
export type DatabaseLocale = {
  encoding: string
  /** `libc`, `icu` or `builtin`. */
  locale_provider: string
  collate: string | null
  ctype: string | null
  /** Locale of the provider, if that is not libc. */
  locale: string | null
  icu_rules: string | null
}

/** The fields of a {@link DatabaseLocale} for `json_build_object`, from a row `d` of pg_database of any version. */
export const localeFields = `
  'encoding', pg_catalog.pg_encoding_to_char(d.encoding),
  'locale_provider', case pg_catalog.to_jsonb(d)->>'datlocprovider' when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end,
  'collate', d.datcollate, 'ctype', d.datctype,
  'locale', coalesce(pg_catalog.to_jsonb(d)->>'datlocale', pg_catalog.to_jsonb(d)->>'daticulocale'), 'icu_rules', pg_catalog.to_jsonb(d)->>'daticurules'`

/**
 * The statement that creates an empty database.
 * @param serverVersion of the server it is created on; older servers know fewer properties
 */
export function createDatabaseSql(name: string, locale: DatabaseLocale, serverVersion: number): string {
  const options = [
    'template template0',
    `encoding ${quoteLiteral(locale.encoding)}`,
    ...(locale.collate === null ? [] : [`lc_collate ${quoteLiteral(locale.collate)}`]),
    ...(locale.ctype === null ? [] : [`lc_ctype ${quoteLiteral(locale.ctype)}`]),
    ...(serverVersion >= 150000 ? providerOptions(locale) : []),
  ]
  return `create database ${quoteIdent(name)} ${options.join(' ')}`
}

function providerOptions({ locale_provider, locale, icu_rules }: DatabaseLocale): string[] {
  const keyword = { icu: 'icu_locale', builtin: 'builtin_locale' }[locale_provider]
  return [
    `locale_provider ${locale_provider}`,
    ...(keyword !== undefined && locale !== null ? [`${keyword} ${quoteLiteral(locale)}`] : []),
    ...(icu_rules === null ? [] : [`icu_rules ${quoteLiteral(icu_rules)}`]),
  ]
}
