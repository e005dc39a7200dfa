// pure
import { type AppError, usage } from '../errors.ts'
import type { FormatName } from './types.ts'

/** Tools whose files or tables are recognised, but not run as a format. */
export type OtherTool = 'liquibase' | 'atlas' | 'sqitch' | 'alembic' | 'rails'

/** What is known about a folder. Paths are relative to it, with `/`; a subfolder ends in `/`; only one level of subfolders is listed. */
export type FolderFacts = { names: string[]; heads: { name: string; text: string }[] }

/** A tool's history table in the database. `pgbosun`: our own, with rows in it. */
export type HistoryFact = { format: FormatName | OtherTool; schema: string; table: string }

/** A format, and the reason for choosing it, as half a sentence. */
export type Detected = { format: FormatName; because: string }

/** Candidates, and the reason for them. */
type Guess = { formats: FormatName[]; because: string }

/**
 * Resolves `migrate.format: auto`: by the content of the files, then by their names. History tables in the database decide between
 * several candidates, and must not contradict the files.
 *
 * @param dir    the name of the folder, or of all folders, in messages
 * @param folder undefined if there is no folder
 * @throws {AppError} `usage` if the evidence is contradictory or not enough, naming the candidates; and for the files of tools
 *   that pgbosun cannot read
 */
export function detectFormat(dir: string, folder: FolderFacts | undefined, histories: HistoryFact[]): Detected {
  const facts = folder ?? { names: [], heads: [] }
  const guess = byContent(dir, facts) ?? byNames(dir, facts)
  if (!guess) return byHistory(dir, facts, histories)
  const kept = guess.formats.filter((format) => histories.some((history) => history.format === format))
  if (kept.length === 0 && histories.length > 0) throw contradiction(dir, guess, histories)
  const left = kept.length > 0 ? kept : guess.formats
  const [only] = left
  if (only !== undefined && left.length === 1) return { format: only, because: guess.because }
  // without a history, plain names mean our own format
  if (kept.length === 0 && left.includes('pgbosun')) return { format: 'pgbosun', because: guess.because }
  throw unsure(`the files of ${dir} may be those of ${listed(left)}: ${guess.because}`, left)
}

/** Text that only one tool understands. `-- Up Migration` may be prose in one of a pair of files; our lint comments may be in files of any tool. */
const markers: { format: FormatName | OtherTool; what: string; in: (text: string, name: string) => boolean }[] = [
  { format: 'dbmate', what: '-- migrate:up', in: (text) => /^--\s*migrate:(up|down)(\s|$)/m.test(text) },
  {
    format: 'goose',
    what: '+goose',
    in: (text) => /^--.*\+goose\s+(up|down|no transaction|statementbegin|envsub)/im.test(text),
  },
  { format: 'graphile-migrate', what: '--! Previous:', in: (text) => /^--! (Previous|Hash):/m.test(text) },
  {
    format: 'pgbosun',
    what: '-- pgbosun: no-transaction',
    in: (text) => /^[ \t]*--[ \t]*pgbosun:[ \t]*no-tr/m.test(text),
  },
  { format: 'sqlx', what: '-- no-transaction', in: (text) => text.startsWith('-- no-transaction') },
  {
    format: 'node-pg-migrate',
    what: '-- Up Migration',
    in: (text, name) => !isPaired(name) && /^\s*--[\s-]*(up|down)\s+migration/im.test(text),
  },
  {
    format: 'liquibase',
    what: '--liquibase formatted sql',
    in: (text) => /^\s*--\s*liquibase formatted sql/i.test(text),
  },
  { format: 'sqitch', what: '-- Deploy', in: (text) => /^-- (Deploy|Revert|Verify) \S+ (to|from|on) pg\b/m.test(text) },
  {
    format: 'alembic',
    what: 'down_revision',
    in: (text, name) => name.endsWith('.py') && /^down_revision\b/m.test(text),
  },
]

function byContent(dir: string, { heads }: FolderFacts): Guess | undefined {
  const found = markers.flatMap((marker) => {
    const head = heads.find(({ name, text }) => marker.in(text, name))
    return head ? [{ ...marker, because: `${head.name} contains \`${marker.what}\`` }] : []
  })
  const [first, second] = found
  if (!first) return undefined
  if (second) {
    throw unsure(
      `the files of ${dir} contradict each other: ${found.map(({ format, because }) => `${because} (${format})`).join(', ')}`,
      found.map(({ format }) => format).filter(isFormat),
    )
  }
  if (!isFormat(first.format)) throw notRun(dir, first.format, first.because)
  return { formats: [first.format], because: first.because }
}

const sqlName = /^[^/]+\.sql$/i
const isPaired = (name: string) => /\.(up|down)\.sql$/i.test(name)

/** File names that identify other tools by themselves. */
const otherNames: { tool: OtherTool; name: RegExp }[] = [
  { tool: 'sqitch', name: /^sqitch\.(plan|conf)$/ },
  { tool: 'alembic', name: /^(alembic\.ini|script\.py\.mako|env\.py)$/ },
  { tool: 'liquibase', name: /^(liquibase\.properties|(db\.)?changelog.*\.(xml|ya?ml|json|sql))$/i },
]

/** Kinds of names, each with the formats that use it. */
const kinds: { formats: FormatName[]; what: string; of: (name: string, names: string[]) => boolean }[] = [
  {
    formats: ['flyway'],
    what: 'is named like a migration of Flyway',
    of: (name) => /^([^/]+\/)?([VUB]\d[\d._]*|R)__.*\.sql$/.test(name),
  },
  {
    formats: ['graphile-migrate'],
    what: 'belongs to graphile-migrate',
    of: (name) => /^(committed\/|current\.sql|current\/)$/.test(name),
  },
  { formats: ['pgbosun'], what: 'is a folder that only pgbosun has', of: (name) => name === 'repeatable/' },
  {
    formats: ['golang-migrate', 'sqlx', 'node-pg-migrate'],
    what: 'is one of a pair of files',
    of: (name) => /^\d+_[^/]*\.up\.sql$/.test(name),
  },
  {
    formats: ['pgbosun'],
    what: 'undoes a file that has no `.up` in its name',
    of: (name, names) => /^\d+_[^/]*\.down\.sql$/.test(name) && names.includes(name.replace(/\.down\.sql$/, '.sql')),
  },
  {
    formats: ['pgbosun', 'sqlx', 'node-pg-migrate'],
    what: 'has a number and nothing that points to a tool',
    of: (name) => /^\d+_[^/]+\.sql$/.test(name) && !isPaired(name),
  },
]

function byNames(dir: string, { names }: FolderFacts): Guess | undefined {
  const other = otherNames.find(({ name }) => names.some((found) => name.test(found)))
  if (other) throw notRun(dir, other.tool, `there is a file ${names.find((name) => other.name.test(name))}`)
  const found = kinds.flatMap(({ formats, what, of }) => {
    const name = names.find((name) => of(name, names))
    return name === undefined ? [] : [{ formats, because: `${name} ${what}` }]
  })
  if (found.length === 0) return refuseStrange(dir, names)
  const because = found.map((guess) => guess.because).join(', ')
  const formats = (found[0]?.formats ?? []).filter((format) => found.every((guess) => guess.formats.includes(format)))
  if (formats.length === 0) {
    throw unsure(`the names in ${dir} contradict each other: ${because}`, [
      ...new Set(found.flatMap((guess) => guess.formats)),
    ])
  }
  if (names.includes('atlas.sum') && formats.includes('pgbosun'))
    throw notRun(dir, 'atlas', 'there is a file atlas.sum')
  return { formats, because }
}

/** Files that no format recognises must not look like an empty folder. */
function refuseStrange(dir: string, names: string[]): undefined {
  const strange = names.find(
    (name) => /\.sql$/i.test(name) || /^\d[^/]*\.(js|ts|[cm]js|[cm]ts|go|py|rb|java)$/.test(name),
  )
  if (strange === undefined) return undefined
  throw usage(`no format has files named like ${strange} in ${dir}`, {
    hint: sqlName.test(strange)
      ? 'set `migrate.format` to the tool that they belong to, or name them like 001_create_users.sql'
      : 'set `migrate.dir` to the folder with the SQL files; migrations that are programs have to be run by their own tool: set `migrate.command`',
  })
}

/** The folder has no migrations: the history in the database may tell the format. */
function byHistory(dir: string, { names }: FolderFacts, histories: HistoryFact[]): Detected {
  const formats = [...new Set(histories.map(({ format }) => format))]
  const [only, more] = formats
  if (only === undefined) return { format: 'pgbosun', because: 'there are no files and no history' }
  const because = `the database has ${tables(histories)}`
  if (more !== undefined) throw unsure(`there are no migrations in ${dir}, and ${because}`, formats.filter(isFormat))
  if (!isFormat(only)) throw notRun(dir, only, because)
  return { format: only, because: names.length === 0 ? because : `no file shows the format, but ${because}` }
}

const isFormat = (format: FormatName | OtherTool): format is FormatName => !(format in others)

/** What to do about tools that are not a format. */
const others: Record<OtherTool, { called: string; hint: string }> = {
  alembic: { called: 'Alembic', hint: 'let pgbosun run it: `migrate.command: [alembic, upgrade, head]`' },
  liquibase: { called: 'Liquibase', hint: 'let pgbosun run it: `migrate.command: [liquibase, update]`' },
  sqitch: { called: 'sqitch', hint: 'let pgbosun run it: `migrate.command: [sqitch, deploy]`' },
  atlas: { called: 'Atlas', hint: 'let pgbosun run it: `migrate.command: [atlas, migrate, apply]`' },
  rails: {
    called: 'Rails',
    hint: 'let pgbosun run it: `migrate.command: [bin/rails, "db:migrate"]`; or set `migrate.format`',
  },
}

const notRun = (dir: string, tool: OtherTool, because: string): AppError =>
  usage(`the migrations in ${dir} are those of ${others[tool].called}, which is not a format of pgbosun: ${because}`, {
    hint: others[tool].hint,
  })

const contradiction = (dir: string, { formats, because }: Guess, histories: HistoryFact[]): AppError => {
  const known = histories.map(({ format }) => format).filter(isFormat)
  return unsure(
    `the files of ${dir} look like ${listed(formats)} (${because}), but the database has ${tables(histories)}`,
    [...formats, ...known],
  )
}

const unsure = (message: string, formats: FormatName[]): AppError =>
  usage(message, {
    hint: `set \`migrate.format\`${formats.length > 0 ? ` to ${listed([...new Set(formats)])}` : ''}`,
  })

const tables = (histories: HistoryFact[]) =>
  histories
    .map(({ format, schema, table }) => `${schema}.${table} of ${isFormat(format) ? format : others[format].called}`)
    .join(' and ')

const listed = (names: string[]) =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
