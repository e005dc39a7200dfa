import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { libpqVariables, urlParameters } from '../src/config/parameters.ts'

const rows = readFileSync(join(import.meta.dirname, '../docs/connection.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| `'))

test('docs/connection.md says what becomes of each parameter and variable', () => {
  expect(rows).toEqual([
    ...Object.entries(urlParameters).map(([name, { verdict, note }]) => `| \`${name}\` | ${verdict} | ${note} |`),
    ...Object.entries(libpqVariables).map(
      ([variable, name]) => `| \`${variable}\` | ${name === undefined ? 'ignored' : `as \`${name}\``} |`,
    ),
  ])
})
