import { existsSync, readFileSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { AppError, usage } from '../errors.ts'
import { visible } from '../text.ts'
import { someLines } from '../units.ts'
import { compiled } from './compiled.ts'
import { type Env, isIgnored } from './environment.ts'
import { isPlainCron } from './plain-cron.ts'
import { readPlainYaml } from './plain-yaml.ts'
import type { Problem } from './problem.ts'
import { accept } from './rules.ts'
import type { Config } from './schema.ts'
import { sourceIn } from './source-in.ts'
import { didYouMean } from './suggest.ts'
import { type Leaf, variableOf } from './walk.ts'

/**
 * Reads the file, overrides it with the environment, fills in the defaults and checks everything.
 *
 * @param path    of the file, if there is one
 * @param baseDir what relative paths are relative to
 * @throws {AppError} `usage` with every problem at once, each with its path
 */
export async function readConfig(
  env: Env,
  path: string | undefined,
  baseDir: string,
): Promise<{ config: Config; origins: Map<string, string> }> {
  const input = path === undefined ? {} : await readConfigFile(path)
  const origins = new Map<string, string>()
  noteOrigins(input, [], origins)
  const ofVariables = await applyEnvironment(input, env, { origins, baseDir })
  ofVariables.push(...(await initProblems(input, env, { origins, baseDir })))
  const { config, problems: others } = await checked(input)
  const problems = [ofVariables, others, storeProblems(origins, input), await scheduleProblems(input)].flat()
  if (config === undefined || problems.length > 0) throw invalid(problems, path, origins)
  return { config, origins }
}

/**
 * The configuration that a text of YAML is, without variables.
 *
 * @param name for messages
 * @throws {AppError} `usage` as above
 */
export async function configOf(text: string, name: string): Promise<Config> {
  const { config, problems } = await checked(((await parseYaml(text, name)) ?? {}) as Tree)
  if (config === undefined) throw invalid(problems, name, new Map())
  return config
}

/** Where no other connection is configured, the variables of postgres-init say what to make. */
async function initProblems(
  input: Tree,
  env: Env,
  given: { origins: Map<string, string>; baseDir: string },
): Promise<Problem[]> {
  const { url, directUrl } = (input.database ?? {}) as { url?: unknown; directUrl?: unknown }
  if (url !== undefined || directUrl !== undefined || sourceIn(env) !== 'INIT_POSTGRES_HOST') return []
  const { applyInitPostgres } = await import('./init-postgres.ts')
  return applyInitPostgres(input, env, given)
}

/** The schema is only loaded for a configuration that has a problem, where the build has compiled it. */
async function checked(input: Tree): Promise<{ config: Config | undefined; problems: Problem[] }> {
  const config = compiled && (accept(compiled, input) as Config | undefined)
  if (config !== undefined) return { config, problems: [] }
  const { checkWithSchema } = await import('./problems.ts')
  return checkWithSchema(input)
}

async function knownLeaves(): Promise<Pick<Leaf, 'path' | 'kind'>[]> {
  if (compiled) return compiled.leaves
  const { schemaLeaves } = await import('./problems.ts')
  return schemaLeaves()
}

type Tree = Record<string, unknown>

async function readConfigFile(path: string): Promise<Tree> {
  const text = readText(path)
  const value = path.endsWith('.json') ? parseJson(text, path) : await parseYaml(text, path)
  if (value === null || value === undefined) return {}
  if (typeof value !== 'object' || Array.isArray(value))
    throw usage(`${path} does not contain keys and values`, { hint: 'see `pgbosun config schema`' })
  return value as Tree
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException
    const problem = { ENOENT: 'does not exist', EISDIR: 'is a folder' }[code] ?? `cannot be read (${code})`
    throw usage(`the configuration file ${path} ${problem}`, { hint: 'check --config or PGBOSUN_CONFIG', cause })
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const { message } = cause as Error
    const [, line, column] = /line (\d+) column (\d+)/.exec(message) ?? []
    throw usage(`${path} is not JSON: ${message.replace(/, (\.\.\.)?".*" is not valid JSON$/s, '')}`, {
      hint: 'JSON has no comments, no comma after the last item, and names in double quotes',
      file: path,
      ...(line !== undefined && { line: Number(line), column: Number(column) }),
      cause,
    })
  }
}

async function parseYaml(text: string, path: string): Promise<unknown> {
  const plain = readPlainYaml(text)
  if (plain) return plain.value
  const { parseDocument } = await import('yaml')
  const document = parseDocument(text, { merge: true })
  const [error] = document.errors
  if (error) {
    const { line, col } = error.linePos?.[0] ?? { line: 1, col: 1 }
    throw usage(`${path}: line ${line}, column ${col}: ${error.message.split('\n')[0]?.replace(/ at line.*$/, '')}`, {
      hint: 'look at this line and the one above: indent with spaces, close all brackets, use each key once',
      file: path,
      line,
      column: col,
    })
  }
  return document.toJS()
}

/** More than any key of the schema has. */
const deepest = 20

function noteOrigins(value: unknown, path: string[], origins: Map<string, string>): void {
  if (path.length > deepest) return
  if (value !== null && typeof value === 'object' && !Array.isArray(value))
    for (const [key, child] of Object.entries(value)) noteOrigins(child, [...path, key], origins)
  else if (path.length > 0) origins.set(path.join('.'), 'file')
}

/** Writes the values of `PGBOSUN_*` into the tree. @returns what is wrong with them */
async function applyEnvironment(
  tree: Tree,
  env: Env,
  { origins, baseDir }: { origins: Map<string, string>; baseDir: string },
): Promise<Problem[]> {
  const names = Object.keys(env)
    .filter((name) => name.startsWith('PGBOSUN_') && env[name] !== undefined)
    .sort()
  if (names.length === 0) return []

  const byVariable = new Map((await knownLeaves()).map((leaf) => [variableOf(leaf.path), leaf]))
  const problems: Problem[] = []
  for (const name of names) {
    if (ownVariables.has(name)) continue
    const leaf = byVariable.get(name) ?? secretFileLeaf(byVariable, name)
    if (!leaf && isIgnored(name)) continue
    if (!leaf) {
      problems.push({ path: name, message: `unknown variable${didYouMean(name, byVariable.keys())}` })
      continue
    }
    const value = environmentValue(leaf, name, { text: env[name]!, baseDir })
    if (value instanceof AppError) problems.push({ path: name, message: value.message })
    else if (leaf.kind === 'secret' && name.endsWith('_FILE') && env[name.slice(0, -'_FILE'.length)] !== undefined)
      problems.push({ path: name, message: `is set together with ${name.slice(0, -'_FILE'.length)}; set only one` })
    else if (setAt(tree, leaf.path, value)) origins.set(leaf.path.join('.'), name)
    else
      problems.push({
        path: name,
        message: `cannot be set: ${leaf.path.slice(0, -1).join('.')} has a value that is not a map`,
      })
  }
  return problems
}

/** Variables that are not keys, but global flags. */
const ownVariables = new Set(['PGBOSUN_CONFIG', 'PGBOSUN_JSON_LINES', 'PGBOSUN_LOG_LEVEL', 'PGBOSUN_LOG_FORMAT'])

function secretFileLeaf<L extends Pick<Leaf, 'kind'>>(byVariable: Map<string, L>, name: string): L | undefined {
  const leaf = name.endsWith('_FILE') ? byVariable.get(name.slice(0, -'_FILE'.length)) : undefined
  return leaf?.kind === 'secret' ? leaf : undefined
}

function environmentValue(
  { kind }: Pick<Leaf, 'kind'>,
  name: string,
  { text, baseDir }: { text: string; baseDir: string },
): unknown {
  switch (kind) {
    case 'string':
      return text
    case 'number':
      return text.trim() === '' || Number.isNaN(Number(text)) ? usage(`is not a number: ${text}`) : Number(text)
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : usage(`must be true or false, not ${text}`)
    case 'list':
      return text === '' ? [] : commaSeparated(text)
    case 'paths':
      return !text.includes(',') || isThere(text, baseDir) ? text : commaSeparated(text)
    case 'secret':
      return name.endsWith('_FILE') ? { file: text } : { env: name }
  }
}

/** Whether the comma is in the name of a folder. Not `resolve`, to which `a,b/../c` is `c`. */
const isThere = (path: string, baseDir: string) => existsSync(isAbsolute(path) ? path : `${baseDir}/${path}`)

const commaSeparated = (text: string) => text.split(',').map((part) => part.trim())

/** Sets a value deep in the tree. False if there is a scalar where a map should be: the schema reports that. */
function setAt(tree: Tree, path: string[], value: unknown): boolean {
  let node = tree
  for (const key of path.slice(0, -1)) {
    const next = node[key] ?? {}
    if (typeof next !== 'object' || Array.isArray(next)) return false
    node[key] = next
    node = next as Tree
  }
  node[path.at(-1)!] = value
  return true
}

/** The schema does not tell a default from what was set. */
const storeProblems = (
  origins: Map<string, string>,
  { backup }: { backup?: { stores?: unknown } | null },
): Problem[] =>
  backup?.stores !== undefined && origins.has('backup.store')
    ? [{ path: 'backup.stores', message: 'is set together with backup.store; set only one' }]
    : []

/** Not part of the schema, so that node-cron is loaded only if there is a schedule that needs it. */
async function scheduleProblems({ backup }: { backup?: Schedules | null }): Promise<Problem[]> {
  const several = Array.isArray(backup?.schedules) ? (backup.schedules as ({ schedule?: unknown } | null)[]) : []
  const found = [
    ['backup.schedule', backup?.schedule],
    ...several.map((each, i) => [`backup.schedules.${i}.schedule`, each?.schedule]),
    ['backup.verify.schedule', backup?.verify?.schedule],
  ]
  const texts = found.filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  if (texts.every(([, text]) => isPlainCron(text))) return []
  const { parseCron } = await import('./cron.ts')
  return texts.flatMap(([path, text]) => {
    const parsed = parseCron(text)
    return typeof parsed === 'string' ? [{ path, message: parsed }] : []
  })
}

type Schedules = { schedule?: unknown; schedules?: unknown; verify?: { schedule?: unknown } | null }

function invalid(problems: Problem[], path: string | undefined, origins: Map<string, string>): AppError {
  const setBy = (key: string) => {
    // Only the whole list has an origin.
    const origin = key.startsWith('PGBOSUN_') ? key : origins.get(key.replace(/\.\d+$/, ''))
    return origin === 'file' ? undefined : origin
  }
  const lines = problems.map(({ path: key, message }) => {
    const variable = setBy(key)
    return visible(
      key === '' ? message : `${key}${variable === undefined || variable === key ? '' : ` (${variable})`}: ${message}`,
    )
  })
  // A problem with a variable is not in the file.
  const file = problems.every(({ path: key }) => setBy(key) !== undefined) ? undefined : path
  const where = file === undefined ? 'the configuration' : file
  const message =
    lines.length === 1
      ? `${where}: ${lines[0]}`
      : `${where} has ${lines.length} problems:\n  ${someLines(lines, 20).join('\n  ')}`
  return usage(message, {
    hint: 'every key is described in docs/configuration.md; `pgbosun config schema` prints the schema',
    ...(file !== undefined && { file }),
    report: { problems },
  })
}
