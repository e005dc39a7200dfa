import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { renderReference } from '../src/config/reference.ts'
import { exitCodes } from '../src/errors.ts'
import { loadParser } from '../src/lint/parse.ts'
import { renderLintReference } from '../src/lint/reference.ts'

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

test('links between the documents lead somewhere', () => {
  const documents = [
    'README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    ...globSync('{docs,examples}/**/*.md', { cwd: root }),
  ]
  const broken = documents.flatMap((document) =>
    [...read(document).matchAll(/\]\((?!https?:|#)([^)#]+)/g)]
      .map(([, link = '']) => link)
      .filter((link) => !existsSync(join(root, dirname(document), link)))
      .map((link) => `${document}: ${link}`),
  )
  expect(broken).toEqual([])
})
