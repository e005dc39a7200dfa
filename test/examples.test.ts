import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { configSchema } from '../src/config/schema.ts'

const examples = join(import.meta.dirname, '../examples')
const folders = readdirSync(examples).filter((name) => statSync(join(examples, name)).isDirectory())

/** The five systems, which are one family. */
const systems = ['bank', 'poker', 'space-trader', 'telegram-games', 'web-app']

/** What a configuration names: migrations and seeds. */
type Paths = {
  migrate?: { dir?: string }
  databases?: Record<string, { migrate?: { dir?: string } }>
  seeds?: { file?: string; dir?: string }[]
}

/** Strings of a file that are meant to be secret, where somebody wrote one down. */
const passwords = /(?:password|secret(?!Name)|token)\w*["']?[ \t]*[:=][ \t]*["']?([^\s"'{}$#,]+)/gi

describe('the examples', () => {
  test('are all in the table of their README', () => {
    const readme = readFileSync(join(examples, 'README.md'), 'utf8')
    for (const name of folders) expect(readme, name).toContain(`(${name})`)
  })

  test.each(systems)('%s says what it shows, how to run it, to break it and to look at it, in this order', (name) => {
    const readme = readFileSync(join(examples, name, 'README.md'), 'utf8')
    expect(readme).toMatch(/^# [^:\n]+: .+\n/)
    expect(readme.slice(0, readme.indexOf('\n## '))).toMatch(/^\| container \| does \|$/m)
    const headings = [...readme.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)
    expect(headings.slice(0, 3)).toEqual(['Run it', 'Break it', 'Look at it'])
  })

  test.each(systems)('%s has its parts where the others have them', (name) => {
    const files = readdirSync(join(examples, name))
    expect(files).toEqual(
      expect.arrayContaining(['.gitignore', 'README.md', 'compose.yaml', 'pgbosun.yaml', 'secrets.sh']),
    )
  })

  for (const name of folders.filter((folder) => existsSync(join(examples, folder, 'pgbosun.yaml')))) {
    test(`${name} has a configuration that is valid, and names files that exist`, () => {
      const dir = join(examples, name)
      const value = parse(readFileSync(join(dir, 'pgbosun.yaml'), 'utf8')) as Paths
      expect(configSchema.safeParse(value).error?.issues ?? []).toEqual([])
      const paths = [
        value.migrate?.dir,
        ...Object.values(value.databases ?? {}).map((database) => database?.migrate?.dir),
        ...(value.seeds ?? []).map(({ file, dir }) => file ?? dir),
      ].filter((path) => path !== undefined)
      // an example mounts its own files, or those of the checkout
      for (const path of paths)
        expect([path, [dir, join(examples, '..')].some((base) => existsSync(join(base, path)))]).toEqual([path, true])
    })
  }

  test('hold no password', () => {
    for (const name of folders)
      for (const file of readdirSync(join(examples, name), { recursive: true, encoding: 'utf8' })) {
        if (!/\.(ya?ml|env|sh|Containerfile)$|Containerfile$/.test(file) || /^(secrets|backups)\//.test(file)) continue
        const text = readFileSync(join(examples, name, file), 'utf8')
        const found = [...text.matchAll(passwords)].map(([, value = '']) => value)
        const plain = found.filter(
          (value) => !/^(\/|\.\/|\[|file|env|true|false|null|scram)/.test(value) && !/secrets?\//.test(value),
        )
        expect([`${name}/${file}`, plain]).toEqual([`${name}/${file}`, []])
      }
  })
})
