import { usage } from '../errors.ts'
import { readText } from './files.ts'
import { type Placeholders, replacePlaceholders } from './flyway-placeholders.ts'

/** The configuration file of one migration: `V1__a.sql.conf`. */
export type FlywayConf = { transactional: boolean; placeholders: boolean }

/** For a migration without such a file. */
export const defaultConf: FlywayConf = { transactional: true, placeholders: true }

/**
 * Reads the configuration file of one migration.
 * @throws {AppError} `usage` for a key that Flyway does not know or we do not support, naming file and line
 * @see SqlScriptMetadata of flyway-core
 */
export function readConf(path: string, values: Placeholders): FlywayConf {
  const conf = { ...defaultConf }
  const lines = replacePlaceholders(readText(path), values, path).split(/\r\n|\r|\n/)
  for (const [i, line] of lines.entries()) {
    const [, key = '', value = ''] = /^\s*([^#!\s=:][^\s=:]*)\s*[=:]?\s*(.*?)\s*$/.exec(line) ?? []
    if (key !== '') apply(conf, key, value, { path, line: i + 1 })
  }
  return conf
}

type At = { path: string; line: number }

function apply(conf: FlywayConf, key: string, value: string, at: At): void {
  if (key === 'executeInTransaction') conf.transactional = truth(key, value, at)
  else if (key === 'placeholderReplacement') conf.placeholders = truth(key, value, at)
  else if (key === 'encoding') requireUtf8(value, at)
  else if (key === 'shouldExecute')
    throw refused(key, 'which only a paid edition of Flyway supports', at, 'remove the key')
  else
    throw refused(key, 'which is unknown', at, 'the keys are executeInTransaction, placeholderReplacement and encoding')
}

function truth(key: string, value: string, at: At): boolean {
  if (/^(true|false)$/i.test(value)) return value.toLowerCase() === 'true'
  throw refused(`${key}=${value}`, 'which is neither true nor false', at, `write ${key}=true or ${key}=false`)
}

function requireUtf8(value: string, at: At): void {
  if (/^utf-?_?8$/i.test(value)) return
  throw refused(
    `encoding=${value}`,
    'but only UTF-8 is supported',
    at,
    'save the migration as UTF-8, and remove the key',
  )
}

const refused = (what: string, why: string, { path, line }: At, hint: string) =>
  usage(`${path} has ${what} in line ${line}, ${why}`, { file: path, line, column: 1, hint })
