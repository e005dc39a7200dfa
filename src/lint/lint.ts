// pure
import type { LintLevel, LintRuleName } from '../config/lint-rules.ts'
import { codePoints, excerptOf, placeOf } from '../sql/place.ts'
import { scan } from '../sql/scan.ts'
import { readAllows } from './allow.ts'
import { type Catalog, emptyCatalog } from './catalog.ts'
import { beginsTransaction, type FileContext, fileContext, transactions, type World } from './context.ts'
import { declare } from './declare.ts'
import { grammarMajor, isNewer } from './grammar.ts'
import { renderRewrite } from './rewrite-text.ts'
import type { Rule } from './rule.ts'
import { rules } from './rules.ts'
import { printName } from './sql.ts'
import type { LintStatement, NameToken, Parser } from './statement.ts'
import { relationName } from './tree.ts'
import type { Finding, Hit, LintFile } from './types.ts'

export type LintOptions = {
  parser: Parser
  /** All files in order, including those that are only read for what they declare. */
  files: LintFile[]
  /** Which of them are linted; default all. */
  isLinted?: (file: LintFile) => boolean
  /** Levels that differ from the defaults: `migrate.lint.rules`. */
  levels?: Partial<Record<LintRuleName, LintLevel>>
  /** Whether comments that allow a rule count; default yes. */
  heedAllows?: boolean
  /** Tables in the database, as `schema.name`, if there is a connection: a table that is not among them is new and empty. */
  existing?: ReadonlySet<string>
  /** Major version of the server that the files are for. Undefined if it is not known: then that of the grammar. */
  server?: number | undefined
}

/**
 * Finds dangerous statements in migrations. Statements on tables that the same file creates are exempt.
 *
 * @returns findings in the order of the files and of the places in them
 */
export function lintFiles({
  parser,
  files,
  isLinted = () => true,
  levels = {},
  heedAllows = true,
  existing,
  server,
}: LintOptions): Finding[] {
  const catalog = emptyCatalog()
  const active = rules
    .map((rule) => (rule.name === 'syntax-error' && isNewer(server) ? { ...rule, ...beyondGrammar(server) } : rule))
    .map((rule) => ({ ...rule, level: levels[rule.name] ?? rule.level }))
    .filter(({ level }) => level !== 'off')
  return files.flatMap((file, number) => {
    const place = { parser, catalog, world: { files, existing, server }, number }
    const hits = hitsOf(place, file, isLinted(file) ? active : [])
    return isLinted(file) ? findingsOf(file, hits, { active, heedAllows }) : []
  })
}

/** What a syntax error means where the server may know more than the grammar. */
const beyondGrammar = (server: number | undefined): Pick<Rule, 'level' | 'why'> => ({
  level: 'warn',
  why: `The grammar is that of PostgreSQL ${grammarMajor}; PostgreSQL ${server} may accept this. The statement is not linted.`,
})

type Place = { parser: Parser; catalog: Catalog; world: World; number: number }

type RuleHit = { rule: LintRuleName; hit: Hit }

/** What the rules find in a file. Adds to the catalog what the file declares. */
function hitsOf({ parser, catalog, world, number }: Place, file: LintFile, active: Rule[]): RuleHit[] {
  const { text, commands } = withoutCommands(file.text)
  const { statements, errors } = parser.parse(text)
  const hits: RuleHit[] = [
    ...errors.map((hit) => ({ rule: 'syntax-error' as const, hit })),
    ...commands.map((hit) => ({ rule: 'psql-meta-command' as const, hit })),
  ]
  catalog.schema = 'public'
  const numbers = transactions(file, statements)
  const shared = {
    ...fileContext(world, number, catalog),
    statements,
    addsEnumValues: statements.some(({ node }) => 'AlterEnumStmt' in node),
    longNames: lazyNames(parser, text, errors.length > 0),
  }
  const created = createdNames(statements)
  const isNewBehind: FileContext['isNewBehind'] = (name) => shared.isNew(name) || created.has(printName(name))
  for (const [i, statement] of statements.entries()) {
    const context = contextAt({ ...shared, isNewBehind }, numbers, i)
    for (const { name, check } of active) hits.push(...check(statement, context).map((hit) => ({ rule: name, hit })))
    declare(catalog, statement.node, number)
  }
  return hits
}

type Shared = Omit<FileContext, 'before' | 'after' | 'inTransaction'>

/** With the statements of the same transaction, put together only when a rule asks: a file may have thousands. */
function contextAt(shared: Shared, numbers: number[], i: number): FileContext {
  const { statements, file } = shared
  return {
    ...shared,
    get before() {
      return statements.slice(numbers.indexOf(numbers[i]!), i)
    },
    get after() {
      return statements.slice(i + 1, numbers.lastIndexOf(numbers[i]!) + 1)
    },
    get inTransaction(): boolean {
      return file.mode === 'wrapped' || [...this.before, statements[i]!].some(beginsTransaction)
    },
  }
}

/** Names of the tables that a file creates. */
const createdNames = (statements: LintStatement[]): Set<string> =>
  new Set(
    statements.flatMap(({ node }) => {
      const relation = 'CreateStmt' in node ? node.CreateStmt.relation : undefined
      return relation ? [printName(relationName(relation))] : []
    }),
  )

/** Names that are too long, searched for once a rule asks. */
function lazyNames(parser: Parser, text: string, broken: boolean): () => NameToken[] {
  let names: NameToken[] | undefined
  return () => {
    names ??= broken ? [] : parser.longNames(text)
    return names
  }
}

/** Replaces psql commands and the data of COPY by blanks. The commands that pg_dump writes are no findings: the runner drops them. */
function withoutCommands(text: string): { text: string; commands: Hit[] } {
  const commands: Hit[] = []
  const { restricts, copies } = scan(text)
  const data = copies.map(({ start, next }) => ({ start, end: next }))
  let rest = blanked(
    text,
    [...restricts, ...data].sort((x, y) => x.start - y.start),
  )
  for (let { backslash } = scan(rest); backslash !== undefined; { backslash } = scan(rest)) {
    const line = /^.*/.exec(rest.slice(backslash))?.[0] ?? ''
    commands.push({ at: backslash, message: `${/^\\\S*/.exec(line)?.[0]} is a psql command` })
    rest = blanked(rest, [{ start: backslash, end: backslash + line.length }])
  }
  return { text: rest, commands }
}

/** A text with blanks for some parts, given in order; line breaks are kept. */
function blanked(text: string, parts: { start: number; end: number }[]): string {
  const ends = [0, ...parts.map(({ end }) => end)]
  const pieces = parts.map(
    ({ start, end }, i) => text.slice(ends[i], start) + text.slice(start, end).replace(/[^\r\n]/g, ' '),
  )
  return pieces.join('') + text.slice(ends.at(-1))
}

/** Removes what comments allow, adds what is wrong with the comments, and gives each finding its line and column. */
function findingsOf(
  file: LintFile,
  hits: RuleHit[],
  { active, heedAllows }: { active: Rule[]; heedAllows: boolean },
): Finding[] {
  const { allows, bad } = heedAllows ? readAllows(file.text) : { allows: [], bad: [] }
  const allowed = new Set<LintRuleName>(allows.map(({ rule }) => rule))
  const found = new Set(hits.map(({ rule }) => rule))
  const unused = allows
    .filter(({ rule }) => !found.has(rule) && active.some(({ name }) => name === rule))
    .map(({ rule, at }) => ({ at, message: `nothing in the file breaks ${rule}: remove the comment` }))
  const comments = [...bad, ...unused].map((hit) => ({ rule: 'unused-allow' as const, hit }))
  return [...hits.filter(({ rule }) => !allowed.has(rule)), ...comments]
    .sort((a, b) => a.hit.at - b.hit.at)
    .flatMap(({ rule: name, hit }) => {
      const rule = active.find((one) => one.name === name)
      return rule && rule.level !== 'off' ? [finding(file, rule, rule.level, hit)] : []
    })
}

function finding(file: LintFile, rule: Rule, level: Finding['level'], hit: Hit): Finding {
  const linesBefore = file.line - 1
  const place = placeOf(file.text, codePoints(file.text, hit.at) + 1)
  return {
    rule: rule.name,
    level,
    file: file.name,
    path: file.path,
    line: linesBefore + place.line,
    column: place.column,
    message: hit.message,
    why: rule.why,
    lock: hit.lock ?? rule.lock ?? null,
    rewrite: hit.rewrite ? renderRewrite(hit.rewrite, file.outside) : null,
    table: hit.table ?? null,
    cost: hit.cost ?? null,
    excerpt: excerptOf(file.text, place, linesBefore),
  }
}
