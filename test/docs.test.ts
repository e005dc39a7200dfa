import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type ConditionName, conditionCatalogue, conditionNames } from '../src/check/condition-catalogue.ts'
import { globalFlags } from '../src/cli/args.ts'
import { commandNames, commands } from '../src/cli/commands.ts'
import { formatNames } from '../src/config/formats.ts'
import { renderReference } from '../src/config/reference.ts'
import { configSchema } from '../src/config/schema.ts'
import { leaves } from '../src/config/walk.ts'
import { exitCodes } from '../src/errors.ts'
import { loadParser } from '../src/lint/parse.ts'
import { renderLintReference } from '../src/lint/reference.ts'
import { sources } from './support/tools.ts'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

test('docs/configuration.md is what `npm run docs` makes', () => {
  expect(read('docs/configuration.md')).toBe(`${renderReference()}\n`)
})

test('docs/lint.md is what `npm run docs` makes', async () => {
  expect(read('docs/lint.md')).toBe(renderLintReference(await loadParser()))
})

test('docs/exit-codes.md has every exit code, and no other', () => {
  const rows = [...read('docs/exit-codes.md').matchAll(/^\| (\d+) \| `(\w+)` \|/gm)].map(([, code, kind]) => [
    kind,
    Number(code),
  ])
  expect(Object.fromEntries(rows)).toEqual(exitCodes)
})

test('docs/formats.md names the versions of the tools that are tested, and no other', () => {
  const table = /## Tested with the real tools([\s\S]*?)\n## /.exec(read('docs/formats.md'))?.[1] ?? ''
  const named = [...table.matchAll(/^\| ([\w-]+ \d[\d.]*) \|/gm)].map(([, name]) => name)
  expect(named.sort()).toEqual(sources.map(({ name }) => name).sort())
})

const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...globSync('{docs,examples,bench,changelog}/**/*.md', { cwd: root, exclude: ['**/node_modules'] }),
]

test('links between the documents lead to a file, and to a heading in it', () => {
  const links = documents.flatMap((document) =>
    [...read(document).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)].map(([, path = '', anchor]) => ({
      document,
      target: path === '' ? document : join(dirname(document), path),
      anchor,
    })),
  )
  expect(links.filter(({ anchor }) => anchor !== undefined).length).toBeGreaterThan(20)
  const broken = links.filter(
    ({ target, anchor }) =>
      !existsSync(join(root, target)) || (anchor !== undefined && !anchors(read(target)).includes(anchor)),
  )
  expect(broken).toEqual([])
})

test('docs/README.md leads to every page beside it', () => {
  const index = read('docs/README.md')
  const pages = globSync('docs/*.md', { cwd: root }).map((path) => path.slice('docs/'.length))
  expect(pages.filter((page) => page !== 'README.md' && !index.includes(`(${page}`))).toEqual([])
})

test('docs/coming-from/README.md leads to a page for each format and for each file beside it', () => {
  const index = read('docs/coming-from/README.md')
  const files = globSync('*.md', { cwd: join(root, 'docs/coming-from') }).filter((page) => page !== 'README.md')
  const formats = formatNames.filter((name) => name !== 'pgbosun').map((name) => `${name}.md`)
  expect([...files, ...formats].filter((page) => !index.includes(`(${page})`))).toEqual([])
})

test('docs/licences.md names packages that are there, with the licence that they have', () => {
  const rows = [...read('docs/licences.md').matchAll(/^\| ([\w.-]+) \| (`.*) \|$/gm)]
  const named = rows.flatMap(([, licence, list = '']) =>
    [...list.matchAll(/`([^`]+)`/g)].map(([, name = '']) => ({ name, licence })),
  )
  expect(named.length).toBeGreaterThan(50)
  const locked = Object.entries(
    (JSON.parse(read('package-lock.json')) as { packages: Record<string, { license?: string }> }).packages,
  )
  const licenceOf = (name: string) =>
    locked.flatMap(([path, { license }]) => (path.endsWith(`node_modules/${name}`) ? [license ?? ''] : []))
  expect(named.filter(({ name, licence }) => !licenceOf(name).includes(licence ?? ''))).toEqual([])
})

test('docs/performance.md says of each setting what the file says', () => {
  const conf = read('k8s/components/postgres/postgresql.conf')
  const rows = [...read('docs/performance.md').matchAll(/^\| `(\w+)`(?:, `\w+`)? \| ([^|]+) \|/gm)]
  expect(rows.length).toBeGreaterThan(8)
  for (const [, name = '', value = ''] of rows) {
    const set = new RegExp(`^${name} = '?([^'#\n]*?)'?\\s*(#.*)?$`, 'm').exec(conf)?.[1]?.trim()
    if (name === 'ssl_min_protocol_version') expect(`${set}`).toBe('TLSv1.2')
    else expect(set, name).toBe(/^\d+ \w+$/.test(value) ? value.replace(' ', '') : value)
  }
})

/** The anchors of a page, as GitHub makes them from its headings. */
const anchors = (text: string) =>
  [...text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  )

describe('the README', () => {
  const readme = read('README.md')

  test('and the page of other tools say of nothing that exists that pgbosun does not have it', {
    timeout: 30_000,
  }, async () => {
    const list = /## What pgbosun does not have\n\n((?:- .*\n)+)/.exec(read('docs/alternatives.md'))?.[1] ?? ''
    const missing = [...list.matchAll(/^- ([^:]+):/gm)].map(([, what = '']) => what)
    expect(missing.length).toBeGreaterThan(1)
    const names = await namesOfThings()
    const existing = (what: string) => stems(what).filter((stem) => names.has(stem))
    expect(existing('down migrations')).toContain('down')
    expect(existing('a dry run')).toContain('dry')
    expect(missing.flatMap(existing)).toEqual([])
  })

  test('shows for each command only flags that it has', { timeout: 30_000 }, async () => {
    const table = /## Commands\n([\s\S]*?)\n## /.exec(readme)?.[1] ?? ''
    const rows = [...table.matchAll(/^\| (`.*)$/gm)].map(([, row = '']) => row.replaceAll('\\|', '|'))
    expect(rows.length).toBeGreaterThan(10)
    for (const row of rows) {
      const group = /^`([a-z]+)/.exec(row)?.[1] ?? ''
      const known = await flagsOf(commandNames.filter((name) => name.split(' ')[0] === group))
      for (const [, flag = ''] of row.matchAll(/--([a-z]+(?:-[a-z]+)*)/g)) expect([group, ...known]).toContain(flag)
    }
  })

  test('counts the formats of other tools', () => {
    expect(readme).toContain('those of seven other tools')
    expect(formatNames.filter((name) => name !== 'pgbosun')).toHaveLength(7)
  })
})

/** The flags of these commands, with those of every command. */
async function flagsOf(names: string[]) {
  const loaded = await Promise.all(names.map((name) => commands[name]!.load()))
  return [...loaded.flatMap(({ flags }) => Object.keys(flags)), ...Object.keys(globalFlags)]
}

/** The stems of all words that a command, a flag or a key of the configuration is called by. */
async function namesOfThings() {
  const keys = leaves(configSchema).map(({ path }) => path.join(' ').replaceAll(/[A-Z]/g, ' $&'))
  return new Set([...commandNames, ...(await flagsOf(commandNames)), ...keys].flatMap(stems))
}

/** `encryption of dumps` → `encrypt`, `dump`: words without their endings, and without those that mean nothing alone. */
const stems = (text: string) =>
  text
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => !['', 'a', 'an', 'the', 'of', 'in', 'at', 'to', 'no'].includes(word))
    .map((word) => word.replace(/(ions?|ing|ed|es|e|s)$/, ''))

describe('CONTRIBUTING', () => {
  const text = read('CONTRIBUTING.md')
  /** The words in `backticks` of a text. */
  const quoted = (part: string) => [...part.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)
  const between = (from: string, to: string) => text.slice(text.indexOf(from), text.indexOf(to))

  test('names every test with a server beside the folder that it is about', () => {
    const patterns = quoted(between('| folder |', '**Where is…**')).map(
      (word) => new RegExp(`^${word.replaceAll('*', '.*')}$`),
    )
    const names = globSync('test/*.int.test.ts', { cwd: root }).map((file) => file.slice(5, -12))
    expect(names.length).toBeGreaterThan(90)
    expect(names.filter((name) => !patterns.some((pattern) => pattern.test(name)))).toEqual([])
  })

  test('has every folder of src/ in its table, and no other', () => {
    const rows = [...between('| folder |', 'The rest of `test/`').matchAll(/^\| `([\w/]+)\/` \|/gm)]
    const folders = new Set(rows.map(([, folder = '']) => folder.split('/')[0]))
    expect([...folders].sort()).toEqual(
      globSync('src/*/', { cwd: root })
        .map((folder) => folder.slice(4).replace('/', ''))
        .sort(),
    )
  })

  test('sends people to files that exist', () => {
    const paths = [...text.matchAll(/`((?:src|test)\/[\w./-]+)`/g)].map(([, path = '']) => path)
    const real = paths.filter((path) => !/NAME|…/.test(path))
    expect(real.length).toBeGreaterThan(20)
    expect(real.filter((path) => !existsSync(join(root, path)))).toEqual([])
  })

  test('says of each word where it lives: a folder, a file or a configuration key', () => {
    const rows = [...between('| word | meaning |', '## Style').matchAll(/^\|[^|]+\|[^|]+\| `([^`]+)` \|$/gm)]
    expect(rows.length).toBeGreaterThan(40)
    const reference = read('docs/configuration.md')
    const lives = (place: string) =>
      [place, `${place}.ts`].some((path) => existsSync(join(root, 'src', path))) ||
      place.startsWith('databases.') ||
      reference.includes(`\`${place}`)
    expect(rows.map(([, place = '']) => place).filter((place) => !lives(place))).toEqual([])
  })
})

describe('docs/conditions.md', () => {
  const text = read('docs/conditions.md')
  const sections = [...text.matchAll(/^## (.+)\n([\s\S]*?)(?=^## |$(?![\s\S]))/gm)].map(([, name = '', body = '']) => ({
    name,
    body,
  }))

  test('has a section for every condition, and for no other', () => {
    expect(sections.map(({ name }) => name)).toEqual(conditionNames)
  })

  test('says of each how bad it is, as the catalogue does, and what to type', () => {
    const wrong = sections.filter(({ name, body }) => {
      const { severity, meaning } = conditionCatalogue[name as ConditionName]
      const isStart = body.startsWith(`\n**${severity === 'error' ? 'An error' : 'A warning'}`)
      return !isStart || !body.includes(`: ${meaning}.**`) || !/`|restart/i.test(body.split('\n\n').slice(1).join())
    })
    expect(wrong).toEqual([])
  })

  test('names only commands and flags that exist', async () => {
    const lines = [...text.matchAll(/(?:`|^)pgbosun ([a-z][^`\n]*)/gm)].map(([, line = '']) => line.trim())
    expect(lines.length).toBeGreaterThan(40)
    const wrong: string[] = []
    for (const line of lines) {
      const words = line.split(' ')
      const name = [words.slice(0, 2).join(' '), words[0] ?? ''].find((one) => one in commands)
      const flags = name === undefined ? {} : { ...(await commands[name]!.load()).flags, ...globalFlags }
      const unknown = words.filter((word) => word.startsWith('--') && !(word.slice(2) in flags))
      if (name === undefined || unknown.length > 0) wrong.push(line)
    }
    expect(wrong).toEqual([])
  })
})
