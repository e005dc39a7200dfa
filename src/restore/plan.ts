// pure
import type { Toc, TocEntry } from '../archive/toc.ts'
import { tokensOf } from '../sql/lex.ts'
import { ownerStatement } from './owners.ts'
import { codeLast, groupSteps, type LoadStep, type Manner } from './steps.ts'
import type { RelationName } from './tamper.ts'

/** How an archive is loaded by a login that owns the new database and may do nothing else. */
export type LoadPlan = {
  /** Everything up to the data. */
  before: LoadStep[]
  data: LoadStep
  /** Indexes, constraints, rules, triggers. Then materialised views are filled, while no policy hides rows; then policies are created. */
  after: LoadStep[]
  views: TocEntry[]
  policies: LoadStep[]
  /** Done at the end, by the session user. None of it runs code. */
  finish: {
    objects: TocEntry[]
    /** Comments and security labels. */
    remarks: TocEntry[]
    owners: string[]
    privileges: TocEntry[]
    /** Last of all, because once they exist, our own statements would run their functions. */
    eventTriggers: TocEntry[]
    eventTriggerRemarks: TocEntry[]
    eventTriggerOwners: string[]
  }
  /** Tablespaces of tables and indexes that the login needs. */
  tablespaces: string[]
  /** What can only be created by running code of the application with the rights of the session user, in words. */
  problems: string[]
}

/**
 * Plans how to load an archive so that no code in it runs with more rights than a login that owns the new database. The login creates
 * everything that it may. The session user creates the rest, in the order of the archive, but only what is created without running
 * code. Pure.
 *
 * @param options `noOwner` leaves out owners and privileges, `noTablespaces` the tablespaces
 */
export function planLoad(
  { entries }: Toc,
  { noOwner, noTablespaces = false }: { noOwner: boolean; noTablespaces?: boolean },
): LoadPlan {
  const wanted = entries.filter((entry) => !isLeftOut(entry))
  const hasOwnValue = ownValues(wanted)
  const relationsOf = relationFinder(wanted)
  const mannerOf = once((entry): Manner => {
    const by = isOurs(entry, hasOwnValue) ? 'us' : 'login'
    const runsCode = by === 'login' && (mayRunCode(entry) || hasOwnValue(entry))
    return { by, runsCode, relations: runsCode ? relationsOf(entry) : [] }
  })
  const stepsOf = (list: TocEntry[]) => groupSteps(list, mannerOf)
  const made = wanted.filter(({ desc }) => !finishing.has(desc) && !remarks.has(desc) && !privileges.has(desc))
  const of = (...descs: string[]) => made.filter(({ desc }) => descs.includes(desc))
  const inSection = (name: TocEntry['section']) => made.filter(({ section }) => section === name)
  const first = of('SCHEMA', 'EXTENSION')
  const pre = made.filter((entry) => isBeforeData(entry) && !first.includes(entry))
  const views = of('MATERIALIZED VIEW DATA')
  const policies = of('POLICY', 'ROW SECURITY')
  const post = inSection('post-data').filter((entry) => !views.includes(entry) && !policies.includes(entry))
  const last = wanted.filter(({ desc }) => desc === 'EVENT TRIGGER')
  const isOfLast = ({ tag }: TocEntry) => tag.startsWith('EVENT TRIGGER ')
  const noted = wanted.filter(({ desc }) => remarks.has(desc))
  const owned = (list: TocEntry[]) => (noOwner ? [] : ownersOf(list))
  return {
    before: stepsOf([
      ...first.filter(({ desc }) => desc === 'SCHEMA'),
      ...of('EXTENSION'),
      ...codeLast(pre, (entry) => mannerOf(entry).runsCode),
    ]),
    data: {
      by: 'login',
      entries: inSection('data').filter((entry) => !isBeforeData(entry)),
      runsCode: true,
      relations: [],
      creates: false,
    },
    after: stepsOf(post),
    views,
    policies: stepsOf(policies),
    finish: {
      objects: wanted.filter(({ desc }) => finishing.has(desc) && desc !== 'EVENT TRIGGER'),
      remarks: noted.filter((entry) => !isOfLast(entry)),
      owners: owned(wanted.filter(({ desc }) => desc !== 'EVENT TRIGGER')),
      privileges: noOwner ? [] : wanted.filter(({ desc }) => privileges.has(desc)),
      eventTriggers: last,
      eventTriggerRemarks: noted.filter(isOfLast),
      eventTriggerOwners: owned(last),
    },
    tablespaces: noTablespaces
      ? []
      : [...new Set(wanted.map(({ tablespace }) => tablespace).filter((name) => name !== ''))].sort(),
    problems: problemsIn(wanted, hasOwnValue),
  }
}

/** Reading a definition takes a while. */
function once<T extends object>(work: (entry: TocEntry) => T): (entry: TocEntry) => T {
  const known = new Map<TocEntry, T>()
  return (entry) => {
    const result = known.get(entry) ?? work(entry)
    known.set(entry, result)
    return result
  }
}

/** From pg_dump 17 on, the creation of large objects is among the data. It runs no code, and is done before code of the data can run. */
const isBeforeData = ({ section, desc }: TocEntry) => section === 'pre-data' || desc === 'BLOB METADATA'

/** Settings, which pg_restore always applies, and properties of the database itself, which are in the manifest. */
const isLeftOut = ({ desc, tag }: TocEntry) =>
  ['ENCODING', 'STDSTRINGS', 'SEARCHPATH', 'DATABASE', 'DATABASE PROPERTIES'].includes(desc) ||
  ((remarks.has(desc) || privileges.has(desc)) && tag.startsWith('DATABASE '))

/** Nothing that is created earlier depends on them. */
const finishing = new Set([
  ...['USER MAPPING', 'PUBLICATION', 'PUBLICATION TABLE', 'PUBLICATION TABLES IN SCHEMA'],
  ...['SUBSCRIPTION', 'SUBSCRIPTION TABLE', 'EVENT TRIGGER'],
])
const remarks = new Set(['COMMENT', 'SECURITY LABEL'])
const privileges = new Set(['ACL', 'DEFAULT ACL'])

const relationKinds = new Set(['TABLE', 'FOREIGN TABLE', 'VIEW', 'MATERIALIZED VIEW', 'SEQUENCE'])

/** Finds the relations that an entry creates or changes: itself, or those it depends on. */
function relationFinder(entries: TocEntry[]): (entry: TocEntry) => RelationName[] {
  const byId = new Map(entries.filter(({ desc }) => relationKinds.has(desc)).map((entry) => [entry.id, entry]))
  return ({ id, dependencies }) =>
    [id, ...dependencies].flatMap((at) => {
      const found = byId.get(at)
      return found ? [{ namespace: found.namespace, name: found.tag }] : []
    })
}

/** Schemas first, because an owner must be able to create in them. Tables before sequences, which must belong to the owner of their table. */
function ownersOf(entries: TocEntry[]): string[] {
  const rank = ({ desc }: TocEntry) => (desc === 'SCHEMA' ? 0 : desc === 'SEQUENCE' ? 2 : 1)
  return [0, 1, 2]
    .flatMap((wanted) => entries.filter((entry) => rank(entry) === wanted))
    .flatMap((entry) => (entry.owner === '' ? [] : ownerStatement(entry, entry.owner)))
}

/** Kinds that a plain owner may not create, or only some of them, or that need another owner. */
const alwaysOurs = new Set([
  ...['EXTENSION', 'PROCEDURAL LANGUAGE', 'TRANSFORM', 'CAST', 'ACCESS METHOD', 'OPERATOR CLASS', 'OPERATOR FAMILY'],
  ...['SHELL TYPE', 'FOREIGN DATA WRAPPER', 'SERVER', 'TEXT SEARCH PARSER', 'TEXT SEARCH TEMPLATE'],
])

/** Whether a plain owner may not create it, and creating it runs no code. */
function isOurs(entry: TocEntry, hasOwnValue: Test): boolean {
  const { desc } = entry
  if (alwaysOurs.has(desc)) return true
  if (desc === 'FUNCTION' || desc === 'PROCEDURE') return !isPlainFunction(entry) && !hasOwnValue(entry)
  // Some wrappers demand more rights. But expressions may be evaluated when the table is created.
  if (desc === 'FOREIGN TABLE') return !/\b(default|check|constraint|generated)\b/.test(words(entry))
  if (desc === 'TYPE') return isBaseType(entry)
  if (desc === 'AGGREGATE') return /\b(m?stype) = internal\b/.test(words(entry))
  // An estimator of the application's own needs a superuser since February 2026.
  if (desc === 'OPERATOR') return /\b(restrict|join) = \S+ \. /.test(words(entry))
  return false
}

/** Whether creating it may evaluate an expression: of an index, a constraint or a partition, even a constant one. */
const mayRunCode = (entry: TocEntry) =>
  ['CONSTRAINT', 'CHECK CONSTRAINT', 'FK CONSTRAINT', 'INDEX', 'TABLE ATTACH'].includes(entry.desc) ||
  (/TABLE$/.test(entry.desc) && /\bgenerated always as \(|\bpartition by \w+ \(.*\(/.test(words(entry))) ||
  (entry.desc === 'AGGREGATE' && /\bstype = \S+ \. /.test(words(entry)))

type Test = (entry: TocEntry) => boolean

/**
 * Whether a definition contains a literal such as `'{1}'::app.positives`, of a type that may contain a domain: the CHECK of the domain
 * runs when the definition is read. Enums contain none, and neither does anything if the archive has no domain.
 */
function ownValues(entries: TocEntry[]): Test {
  const types = new Set(
    entries
      .filter(({ desc }) => ['DOMAIN', 'TYPE', 'TABLE', 'VIEW', 'MATERIALIZED VIEW', 'FOREIGN TABLE'].includes(desc))
      .filter((entry) => entry.desc !== 'TYPE' || !topWords(entry).includes('enum'))
      .map(({ namespace, tag }) => `${namespace}.${tag}`),
  )
  if (!entries.some(({ desc }) => desc === 'DOMAIN')) return () => false
  return ({ defn }) => {
    if (!defn.includes('::')) return false
    const tokens = tokensOf(defn, 0, defn.length)
    const isOwn = (i: number) => tokens[i + 1] === '.' && types.has(`${plain(tokens[i])}.${plain(tokens[i + 2])}`)
    return tokens.some((token, i) => isString(token) && tokens[i + 1] === ':' && tokens[i + 2] === ':' && isOwn(i + 3))
  }
}

const plain = (token = '') => token.replace(/^"(.*)"$/s, '$1').replaceAll('""', '"')

const isString = (token: string) => /^(e?'|\$)/i.test(token)

/** The tokens of a definition, separated by spaces, with empty strings in place of all strings. */
const words = ({ defn }: TocEntry) =>
  tokensOf(defn, 0, defn.length)
    .map((token) => (isString(token) ? "''" : token))
    .join(' ')

/** `CREATE TYPE name (…`, or a shell of one; composite types, enums and ranges have an AS. */
const isBaseType = (entry: TocEntry) => !topWords(entry).includes('as')

const isPlainFunction = (entry: TocEntry): boolean => {
  const top = topWords(entry)
  return ['sql', 'plpgsql'].includes(languageOf(entry)) && !top.includes('leakproof') && !top.includes('support')
}

const languageOf = (entry: TocEntry): string => {
  const top = topWords(entry)
  return plain(top[top.indexOf('language') + 1])
}

/** Tokens outside parentheses, up to a body. Tokens next to a dot are names, and left out. */
function topWords({ defn }: TocEntry): string[] {
  const top: string[] = []
  let depth = 0
  const tokens = tokensOf(defn, 0, defn.length)
  for (const [i, token] of tokens.entries()) {
    if (token === ')') depth -= 1
    if (depth === 0 && tokens[i - 1] !== '.' && tokens[i + 1] !== '.') top.push(token)
    if (token === '(') depth += 1
    if (depth === 0 && (token === 'begin' || token === 'return') && top.includes('language')) break
  }
  return top
}

/** Languages whose functions an application cannot write. */
const notTheirs = new Set(['c', 'internal'])

function problemsIn(entries: TocEntry[], hasOwnValue: Test): string[] {
  const functions = entries.filter(({ desc }) => desc === 'FUNCTION' || desc === 'PROCEDURE')
  const impossible = functions
    .filter((entry) => !isPlainFunction(entry) && hasOwnValue(entry))
    .filter((entry) => ['c', 'internal', 'sql', 'plpgsql'].includes(languageOf(entry)))
    .map((entry) => `${named(entry)} has a value of one of the application's types in its definition`)
  const own = new Set(
    functions
      .filter((entry) => !notTheirs.has(languageOf(entry)))
      .map(({ namespace, tag }) => `${namespace}.${tag.slice(0, tag.indexOf('('))}`),
  )
  const validated = entries
    .filter(({ desc }) => desc === 'FOREIGN DATA WRAPPER' || desc === 'PROCEDURAL LANGUAGE')
    .filter((entry) => validatorsOf(entry).some((name) => own.has(name)))
    .map((entry) => `${named(entry)} calls a function of the application`)
  return [...validated, ...impossible]
}

/** `schema.name` of the validator functions that are called when an object of this kind is created. */
function validatorsOf({ defn }: TocEntry): string[] {
  const tokens = tokensOf(defn, 0, defn.length)
  return tokens.flatMap((token, i) =>
    token === 'validator' && tokens[i + 2] === '.' ? [`${plain(tokens[i + 1])}.${plain(tokens[i + 3])}`] : [],
  )
}

/** Names of event triggers that run at every login, and are not disabled. */
export const loginTriggersIn = ({ entries }: Toc): string[] =>
  entries.filter((entry) => entry.desc === 'EVENT TRIGGER' && isForLogins(entry)).map(({ tag }) => tag)

/** `create event trigger NAME on login …`, perhaps followed by `alter event trigger NAME disable`. */
function isForLogins({ defn }: TocEntry): boolean {
  const tokens = tokensOf(defn, 0, defn.length).filter((token) => token !== ';')
  return tokens[4] === 'on' && tokens[5] === 'login' && tokens.at(-1) !== 'disable'
}

/** Describes an entry, for messages. */
export const named = ({ desc, namespace, tag }: TocEntry) =>
  `${desc.toLowerCase()} ${namespace === '' ? '' : `${namespace}.`}${tag}`
