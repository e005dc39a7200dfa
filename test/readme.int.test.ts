import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect } from 'vitest'
import { sampleDatabase } from '../scripts/sample.ts'
import { findServerBinaries, startServer } from '../scripts/server.ts'
import { recordTranscript, renderTranscript, withoutFigures } from '../scripts/transcript.ts'
import { commandNames } from '../src/cli/commands.ts'
import { exitCodes } from '../src/errors.ts'
import { client } from './support/backup.ts'
import { runJson } from './support/cli.ts'
import { test as base, open, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const readme = read('README.md')
const fieldsPage = read('docs/json.md')
const block = (language: string, text = readme) =>
  new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(text)?.[1] ?? ''

type Shop = {
  name: string
  /** Runs the program with the configuration of the README. */
  pgbosun(...args: string[]): ReturnType<typeof runJson>
}

/** `test` with the example of the README, under names of its own, and the files it speaks of. */
const test = base.extend<{ shop: Shop }>({
  shop: async ({ dir }, use) => {
    const name = uniqueName('shop')
    const secret = join(dir, 'shop_ro.password')
    await writeFiles(dir, {
      'pgbosun.yaml': block('yaml')
        .replaceAll('/run/secrets/shop_ro', secret)
        .replaceAll('file:///srv/backups', pathToFileURL(join(dir, 'backups')).href)
        .replaceAll(/\bshop(?=(_ro|_backup)?:)/g, name),
      'migrations/001_users.sql':
        'create table users (id int primary key); create table countries (code text primary key, name text)',
      'migrations/002_orders.sql': 'create table orders (id int primary key, user_id int references users)',
      'seeds/countries.csv': 'code,name\nfi,Finland\n',
      'shop_ro.password': 'only looking\n',
    })
    const env = {
      PATH: process.env.PATH ?? '',
      DATABASE_URL: urlOf(name),
      SHOP_PASSWORD: 'for sale',
      BACKUP_PASSWORD: 'reads everything',
      BACKUP_URL: urlOf(name, { name: `${name}_backup`, password: 'reads everything' }),
    }
    await use({ name, pgbosun: (...args) => runJson(args, { cwd: dir, env }) })
  },
})

describe('the example of the README', () => {
  test('makes an empty server ready, and its JSON looks as described', async ({ shop: { name, pgbosun } }) => {
    const { code, json } = await pgbosun('up')
    expect(json).toMatchObject({ command: 'up', ok: true, exit_code: 0, error: null, warnings: [] })
    expect(code).toBe(0)
    expect(Object.keys(json)).toEqual(Object.keys(JSON.parse(block('json', fieldsPage)) as object))
    const [described] = (JSON.parse(block('json', fieldsPage)) as { steps: { changes: object[] }[] }).steps
    const migrate = (json.steps as { name: string; changes: object[] }[]).find((step) => step.name === 'migrate')
    expect(migrate?.changes).toContainEqual(described?.changes[0])
    expect(Object.keys(migrate ?? {}).sort()).toEqual(Object.keys(described ?? {}).sort())

    const again = await pgbosun('up')
    expect((again.json.steps as { state: string }[]).map(({ state }) => state)).not.toContain('done')

    const app = open(name, { name, password: 'for sale' })
    expect(await app`select code from countries`).toEqual([{ code: 'fi' }])
    await app.end()
  })

  test.skipIf(!client)(
    'backs up, verifies, restores and prunes, and every document has the fields it is described with',
    { timeout: 60_000 },
    async ({ shop: { name, pgbosun } }) => {
      const fields = describedFields()
      await pgbosun('up')
      const into = `${name}_copy`
      const lines = [
        ['backup', 'run'],
        ['backup', 'list'],
        ['backup', 'verify', 'latest'],
        ['backup', 'prune', '--dry-run'],
        ['restore', 'latest', '--into', into, '--yes'],
        ['migrate', 'status'],
        ['check'],
        ['status'],
      ]
      for (const line of lines) {
        const { code, json, stderr } = await pgbosun(...line)
        expect({ line, code, stderr }).toMatchObject({ line, code: 0 })
        const { top, nested } = fields.get(json.command as string)!
        expect(Object.keys(json)).toEqual(expect.arrayContaining(top))
        const [first] = nested ? (json[top[0]!] as object[]) : []
        if (nested) expect(Object.keys(first ?? {}).sort()).toEqual(nested.sort())
      }

      const copy = open(into)
      expect(await copy`select code from countries`).toEqual([{ code: 'fi' }])
      await copy.end()
    },
  )
})

/** The table of fields, by command: those at top level, and those of each entry of a list. */
function describedFields() {
  const table = /\| command \| fields beside those \|\n\|[-|]+\n((?:\|.*\n)+)/.exec(fieldsPage)?.[1] ?? ''
  const rows = table
    .trim()
    .split('\n')
    .flatMap((row) => {
      const [names = '', fields = ''] = row.split(' | ')
      const [top = '', nested] = fields.split(/, each with /)
      const entry = { top: codes(top), nested: nested === undefined ? undefined : codes(nested) }
      return codes(names).map((name) => [name, entry] as const)
    })
  return new Map(rows)
}

const codes = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)

test.skipIf(!client)('the story at the beginning is what a run prints, and the picture shows it', async ({ dir }) => {
  const [binDir] = findServerBinaries()
  const fresh = await startServer(binDir!)
  try {
    const told = block('console').trimEnd().split('\n')
    expect(told).toHaveLength(12)
    const lines = await recordTranscript(fresh.url(sampleDatabase), dir)
    expect(told.map(withoutFigures)).toEqual(lines.map(withoutFigures))
    expect(read('docs/transcript.svg')).toBe(renderTranscript(told))
  } finally {
    await fresh.remove()
  }
})

describe('the documents', () => {
  test('name no exit code that does not exist, and every one that does', () => {
    const section = /## Exit codes\n([\s\S]*?)\n## /.exec(readme)?.[1] ?? ''
    const described = [...section.matchAll(/^\| ([\d, ]+) \|/gm)].flatMap(([, list = '']) =>
      list.split(',').map(Number),
    )
    expect(described).toEqual(Object.values(exitCodes))
  })

  test('have every command in the table of the README', () => {
    const table = /## Commands\n([\s\S]*?)\n## /.exec(readme)?.[1] ?? ''
    const cells = [...table.matchAll(/^\| (`.*?) \| /gm)].map(([, cell = '']) => cell.replaceAll('\\|', '|'))
    const named = cells.flatMap((cell) => {
      const [first = '', ...others] = codes(cell).map(
        (code) => /^[a-z]+(?: [a-z]+(?:-[a-z]+)*){0,2}/.exec(code)?.[0] ?? '',
      )
      return [
        first,
        ...others.map((other) => (commandNames.includes(other) ? other : `${first.split(' ')[0]} ${other}`)),
      ]
    })
    expect(named.sort()).toEqual([...commandNames].sort())
  })
})
