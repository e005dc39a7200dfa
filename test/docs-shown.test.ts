import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { findCommand, parseFlags } from '../src/cli/args.ts'
import { commandNames, commands } from '../src/cli/commands.ts'
import { loadConfig } from '../src/config/load.ts'
import { loadParser } from '../src/lint/parse.ts'
import { argumentsOf, type Block, blocksOf, commandsOf, scriptOf } from './support/shown.ts'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...globSync('{docs,examples,bench}/**/*.md', { cwd: root, exclude: ['**/node_modules'] }).sort(),
]
const pages = documents.map((path) => ({ path, text: read(path), blocks: blocksOf(read(path)) }))
const all = (languages: readonly string[]) =>
  pages.flatMap(({ path, blocks }) =>
    blocks.filter(({ language }) => languages.includes(language)).map((block) => ({ path, ...block })),
  )
const at = ({ path, line }: { path: string; line: number }) => `${path}:${line}`

describe('what the documents show', () => {
  test('as a script, the shell can read', () => {
    const scripts = pages.flatMap(({ path, blocks }) =>
      blocks.flatMap((block) => {
        const text = scriptOf(block)
        return text === undefined ? [] : [{ place: at({ path, line: block.line }), text }]
      }),
    )
    expect(scripts.length).toBeGreaterThan(60)
    const reads =
      'while IFS= read -rd "" place && IFS= read -rd "" text; do bash -n <<< "$text" || echo "$place"; done 2>&1'
    const input = scripts.map(({ place, text }) => `${place}\0${text.replaceAll('…', 'x')}\0`).join('')
    expect(spawnSync('bash', ['-c', reads], { input, encoding: 'utf8' }).stdout).toBe('')
  })

  test('as a command of ours, the program accepts', { timeout: 60_000 }, async () => {
    const lines = pages.flatMap((page) => [...typed(page), ...quoted(page)])
    expect(lines.length).toBeGreaterThan(170)
    const wrong: string[] = []
    for (const { place, args } of lines) {
      try {
        const { name = '', args: own, rest } = findCommand(args, commandNames)
        parseFlags(await commands[name]!.load(), own, rest)
      } catch (error) {
        wrong.push(`${place} pgbosun ${args.join(' ')}: ${(error as Error).message}`)
      }
    }
    expect(wrong).toEqual([])
  })

  test('as SQL, the grammar of PostgreSQL accepts', async () => {
    const parser = await loadParser()
    // those of docs/lint.md are generated and tested with their rules; two of them are wrong on purpose
    const blocks = all(['sql']).filter(({ path }) => path !== 'docs/lint.md')
    expect(blocks.length).toBeGreaterThan(3)
    const wrong = blocks.flatMap((block) =>
      parser.parse(block.text.replaceAll('…', 'null')).errors.map(({ message }) => `${at(block)} ${message}`),
    )
    expect(wrong).toEqual([])
  })

  test('as JSON and YAML, a parser accepts', () => {
    for (const block of all(['json'])) expect(() => JSON.parse(block.text), at(block)).not.toThrow()
    const kinds = ['yaml', 'yaml pod', 'yaml workflow', 'yaml compose', 'yaml kubernetes']
    for (const block of all(kinds))
      for (const document of parseAllDocuments(block.text))
        expect([at(block), document.errors]).toEqual([at(block), []])
  })

  test('says which language it is in, in words that are known here', () => {
    const known = /^(|sh|console|sql|json|python|dockerfile|diff|ini|hcl|yaml( pod| workflow| compose| kubernetes)?)$/
    const unknown = pages.flatMap(({ path, blocks }) =>
      blocks
        .filter(({ language }) => !known.test(language))
        .map((block) => `${at({ path, ...block })} ${block.language}`),
    )
    expect(unknown).toEqual([])
  })
})

describe('a configuration that a document shows, the program accepts:', () => {
  const dir = mkdtempSync(join(tmpdir(), 'pgbosun-docs-'))
  afterAll(() => rmSync(dir, { recursive: true }))
  const shown = all(['yaml'])

  test('there are many', () => {
    expect(shown.length).toBeGreaterThan(35)
  })

  test.for(shown)('$path:$line', async ({ text }) => {
    const file = join(dir, 'pgbosun.yaml')
    writeFileSync(file, text)
    await expect(loadConfig({ env: {}, cwd: dir, file })).resolves.toMatchObject({ file })
  })
})

type Page = { path: string; text: string; blocks: Block[] }
type Line = { place: string; args: string[] }

/** What is typed in blocks of code. Brackets and `…` are places to fill in. */
const typed = ({ path, blocks }: Page): Line[] =>
  blocks.flatMap((block) =>
    commandsOf(scriptOf(block) ?? '').flatMap((command) => {
      const args = argumentsOf(command)
      return args === undefined || isPattern(args) ? [] : [{ place: at({ path, line: block.line }), args }]
    }),
  )

/** What stands between backticks in the text. */
const quoted = ({ path, text }: Page): Line[] =>
  [...text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, '').matchAll(/`(pgbosun [a-z][^`]*)`/g)].flatMap(([, line = '']) =>
    commandsOf(line.replaceAll('\n', ' ')).flatMap((command) => {
      const args = argumentsOf(command)
      return args === undefined || isPattern(args) ? [] : [{ place: path, args }]
    }),
  )

const isPattern = (args: string[]) => args.some((arg) => /[[\]…]|^COMMAND$/.test(arg))
