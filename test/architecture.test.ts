import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatNames } from '../src/config/formats.ts'
import {
  againstTheOrder,
  circles,
  codeOf,
  commandsImported,
  homeless,
  impurities,
  isPure,
  offences,
  roomOf,
  type Sources,
  undeclared,
} from './support/architecture.ts'

const root = join(import.meta.dirname, '../src')
const sources: Sources = new Map(
  globSync('**/*.ts', { cwd: root })
    .filter((file) => !file.endsWith('.test.ts'))
    .sort()
    .map((file) => [file, readFileSync(join(root, file), 'utf8')]),
)

/** The sources with some files changed, to see that a rule notices. */
const having = (files: Record<string, string>): Sources => new Map([...sources, ...Object.entries(files)])

describe('rooms', () => {
  test('every room has its place in the order', () => {
    expect(homeless(sources)).toEqual([])
    expect(homeless(having({ 'misc/help.ts': '' }))).toEqual(['misc/help.ts: misc'])
  })

  test('a room imports itself and those before it', () => {
    expect(againstTheOrder(sources)).toEqual([])
    const climbing = "import type { Command } from '../cli/command.ts'"
    expect(againstTheOrder(having({ 'up/extra.ts': climbing }))).toEqual(['up/extra.ts: cli/command.ts'])
    expect(againstTheOrder(having({ 'text.ts': "export * from './sql/lex.ts'" }))).toEqual(['text.ts: sql/lex.ts'])
  })

  test('features never import each other', () => {
    const crossing = "const { plan } = await import('../backup/retention.ts')"
    expect(againstTheOrder(having({ 'restore/extra.ts': crossing }))).toEqual(['restore/extra.ts: backup/retention.ts'])
  })

  test('no command imports another', () => {
    expect(commandsImported(sources)).toEqual([])
    const crossing = "import { up } from './up.ts'"
    expect(commandsImported(having({ 'cli/commands/extra.ts': crossing }))).toEqual([
      'cli/commands/extra.ts: cli/commands/up.ts',
    ])
  })

  test('nothing runs in a circle, types neither', () => {
    expect(circles(sources)).toEqual([])
    const circle = {
      'seed/one.ts': "import type { Two } from './two.ts'",
      'seed/two.ts': "import { three } from './three.ts'",
      'seed/three.ts': "export const load = () => import('./one.ts')",
    }
    expect(circles(having(circle))).toEqual([['seed/one.ts', 'seed/three.ts', 'seed/two.ts']])
  })

  test('there are no barrels', () => {
    expect([...sources.keys()].filter((file) => /(^|\/)index\.ts$/.test(file))).toEqual([])
  })

  test('the biggest room holds less than 15 % of the lines', () => {
    const lines = Map.groupBy(sources, ([file]) => roomOf(file))
    const count = (files: readonly (readonly [string, string])[]) =>
      files.reduce((sum, [, source]) => sum + source.split('\n').length, 0)
    const all = count([...sources])
    expect([...lines].filter(([, files]) => count(files) >= all * 0.15).map(([room]) => room)).toEqual([])
  })
})

describe('pure files', () => {
  test('planners say that they are pure, in their first line', () => {
    expect(undeclared(sources)).toEqual([])
    expect(undeclared(having({ 'seed/plan-more.ts': 'export const plan = 1' }))).toEqual([
      'seed/plan-more.ts: is not declared',
    ])
    expect(undeclared(having({ 'lint/rules/more.ts': 'export const rules = []' }))).toEqual([
      'lint/rules/more.ts: is not declared',
    ])
    expect([...sources.values()].filter(isPure).length).toBeGreaterThan(150)
  })

  test('do no I/O and read no clock, no randomness and no environment', () => {
    expect(impurities(sources)).toEqual([])
    const bad = (line: string) => impurities(having({ 'seed/plan-more.ts': `// pure\n${line}\n` }))
    const offence = (what: string) => [`seed/plan-more.ts: ${what}`]
    expect(bad("import { readFileSync } from 'node:fs'")).toEqual(offence('node:fs'))
    expect(bad("import { randomBytes } from 'node:crypto'")).toEqual(offence('node:crypto'))
    expect(bad("import postgres from 'postgres'")).toEqual(offence('postgres'))
    expect(bad('export const now = Date.now()')).toEqual(offence('Date.now'))
    expect(bad('export const home = process.env.HOME')).toEqual(offence('process.'))
    expect(bad("export const ask = async (db) => await db.unsafe('select 1')")).toEqual(offence('await'))
  })

  test('call nothing that is not pure, however far away', () => {
    const files = {
      'seed/plan-more.ts': "// pure\nimport { near } from './near.ts'\nimport type { Db } from '../postgres/db.ts'\n",
      'seed/near.ts': "// pure\nimport { far } from './far.ts'\n",
      'seed/far.ts': "import { readFileSync } from 'node:fs'\n",
    }
    expect(impurities(having(files))).toEqual(['seed/near.ts: seed/far.ts is not pure'])
  })
})

describe('edges', () => {
  const uses = (what: RegExp, allowed: (file: string) => boolean) =>
    offences(sources, (file, source) =>
      allowed(file) ? [] : [...codeOf(source).matchAll(what)].map(([match]) => match),
    )

  test('only config/ and cli/main.ts read the environment', () => {
    expect(
      uses(
        /\bprocess\.env\b|\benv\s*[,}].*=\s*process\b/g,
        (file) => roomOf(file) === 'config' || file === 'cli/main.ts',
      ),
    ).toEqual([])
  })

  test('only cli/ ends the process and writes to stdout', () => {
    expect(uses(/\bprocess\.(exit|exitCode|stdout)\b|\bconsole\.\w+/g, (file) => roomOf(file) === 'cli')).toEqual([])
  })

  test('only cli/streams.ts writes, so that all of it arrives', () => {
    expect(uses(/\bprocess\.std(out|err)\.(write|end)\b/g, (file) => file === 'cli/streams.ts')).toEqual([])
  })

  test('only cli/v8.ts calls process.exit, which may hang', () => {
    expect(uses(/\bprocess\.exit\(/g, (file) => file === 'cli/v8.ts')).toEqual([])
  })

  test('only cli/ and log.ts write to stderr', () => {
    expect(uses(/\bprocess\.stderr\b/g, (file) => roomOf(file) === 'cli' || file === 'log.ts')).toEqual([])
  })

  test('nothing decides by the words of our own messages', () => {
    // Whose words they are: Node's parseArgs, zod, node-cron, PostgreSQL's elog (never translated), names in a server's message,
    // a server's message that pg_restore printed without its SQLSTATE.
    const foreign = [
      'cli/args.ts',
      'config/problems.ts',
      'config/read.ts',
      'config/cron.ts',
      'roles/errors.ts',
      'postgres/ask.ts',
      'postgres/hints.ts',
      'postgres/pooler.ts',
      'restore/said.ts',
    ]
    const asks =
      /\bmessage( [!=]== (?!undefined)|\.(includes|startsWith|endsWith|match|search)\((?!sqlstate))|\.(test|exec)\((\w+\.)*message\b/g
    expect(uses(asks, (file) => foreign.includes(file))).toEqual([])
  })

  test('only formats/ and config/ know the formats of other tools by name', () => {
    const named = new RegExp(`'(${formatNames.filter((name) => name !== 'pgbosun').join('|')})'`, 'g')
    expect(uses(named, (file) => ['formats', 'config'].includes(roomOf(file)))).toEqual([])
  })

  test('only config/ and cli/ listen to signals or know the working directory', () => {
    // the process of a store is a program of its own
    const may = (file: string) => ['cli', 'config'].includes(roomOf(file)) || file === 'store/folder-program.ts'
    expect(uses(/\bprocess\.((on|once)\((?!'exit')|cwd\()/g, may)).toEqual([])
  })
})
