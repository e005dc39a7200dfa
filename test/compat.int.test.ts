import { describe, expect } from 'vitest'
import { full } from './support/chaos.ts'
import { urlOf } from './support/postgres.ts'
import type { Tool } from './support/tools/tool.ts'
import { installTools } from './support/tools.ts'
import {
  type Database,
  expectDone,
  historyOf,
  parts,
  pgbosun,
  schemaOf,
  test,
  withPgbosun,
  withTool,
  write,
} from './support/turns.ts'

const tools = await installTools()

test('each tool has a format of ours', () => expect(new Set(tools.map(({ format }) => format)).size).toBe(tools.length))

/** Starting Java takes seconds where others are at work. */
const timeout = 180_000

/** How many rows a tool's history has after so many migrations. */
const rowsAfter = ({ format }: Tool, count: number) =>
  format === 'golang-migrate' ? Math.min(count, 1) : format === 'goose' ? count + 1 : count

const numbersTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

/** The first five, of which the third fails at its end. */
const broken = parts
  .slice(0, 5)
  .map((part, i) => (i === 2 ? { ...part, up: `${part.up}\nselect nothing_of_this;` } : part))

for (const tool of tools) {
  describe(`taking turns with ${tool.format}`, { timeout }, () => {
    const titles = parts.map((_, i) => tool.title(i + 1))

    test('leaves the same history and the same schema, whoever did which half', async ({ databases, dir }) => {
      const [all, itFirst, weFirst, onlyWe] = (await databases(4)) as [Database, Database, Database, Database]
      await write(tool, dir, parts.slice(0, 3))
      await withTool(tool, dir, itFirst)
      expect(await withPgbosun(tool, dir, weFirst)).toEqual(titles.slice(0, 3))
      await write(tool, dir, parts)
      await withTool(tool, dir, all)
      expect(await withPgbosun(tool, dir, itFirst)).toEqual(titles.slice(3))
      await withTool(tool, dir, weFirst)
      expect(await withPgbosun(tool, dir, onlyWe)).toEqual(titles)

      const [history, schema] = [await historyOf(tool, all), await schemaOf(all)]
      expect(history).toHaveLength(rowsAfter(tool, parts.length))
      expect(schema).toContain('orders_user')
      for (const database of [itFirst, weFirst, onlyWe]) {
        expect(await historyOf(tool, database)).toEqual(history)
        expect(await schemaOf(database)).toBe(schema)
      }
      // that their histories and schemas are the same has just been compared
      for (const database of [itFirst, weFirst]) await expectDone(tool, dir, database)
    })

    test('`auto` takes the folder for what it is', async ({ databases, dir }) => {
      const [empty, partly] = (await databases(2)) as [Database, Database]
      await write(tool, dir, parts.slice(0, 2))
      const auto = { env: { PGBOSUN_MIGRATE_FORMAT: 'auto' } }
      const { code, json } = await pgbosun(tool, ['migrate'], dir, empty, auto.env)
      expect([code, json.results]).toEqual(tool.ambiguous ? [2, undefined] : [0, expect.arrayContaining([])])
      if (!tool.ambiguous) expect(await withTool(tool, dir, empty)).toMatch(tool.nothing)

      await withTool(tool, dir, partly)
      await write(tool, dir, parts.slice(0, 3))
      expect(await withPgbosun(tool, dir, partly, auto)).toEqual(titles.slice(2, 3))
      expect(await withTool(tool, dir, partly)).toMatch(tool.nothing)
    })

    test('turn by turn, one migration each', async ({ databases, dir }) => {
      const [all, turns] = (await databases(2)) as [Database, Database]
      for (const [i] of (full ? parts : parts.slice(0, 3)).entries()) {
        await write(tool, dir, parts.slice(0, i + 1))
        if (i % 2 === 0) await withTool(tool, dir, turns)
        else expect(await withPgbosun(tool, dir, turns)).toEqual([titles[i]])
      }
      await withTool(tool, dir, all)
      expect(await historyOf(tool, turns)).toEqual(await historyOf(tool, all))
      expect(await schemaOf(turns)).toBe(await schemaOf(all))
      await expectDone(tool, dir, turns)
    })

    test('a failure in the third of five leaves exactly the first two, for either to go on with', async ({
      databases,
      dir,
    }) => {
      const [database, all] = (await databases(2)) as [Database, Database]
      await write(tool, dir, broken)
      const { code, json } = await pgbosun(tool, ['migrate'], dir, database)
      expect([code, json.error?.sqlstate]).toEqual([20, '42703'])
      expect(await historyOf(tool, database)).toHaveLength(rowsAfter(tool, 2))
      expect(await schemaOf(database)).not.toContain('count_orders')

      await write(tool, dir, parts)
      await withTool(tool, dir, database)
      await withTool(tool, dir, all)
      expect(await schemaOf(database)).toBe(await schemaOf(all))
      await expectDone(tool, dir, database)
    })

    // after a failure golang-migrate wants somebody to look first: see compat-tools.int.test.ts
    if (tool.format === 'golang-migrate') return
    test('we go on where the tool has failed', async ({ databases, dir }) => {
      const [database, all] = (await databases(2)) as [Database, Database]
      await write(tool, dir, broken)
      const { code, output } = await tool.run(tool.up, { cwd: dir, url: urlOf(database.name) })
      expect(code, output).not.toBe(0)
      await write(tool, dir, parts)
      expect((await withPgbosun(tool, dir, database)).at(-1)).toBe(titles.at(-1))
      await withTool(tool, dir, all)
      expect(await schemaOf(database)).toBe(await schemaOf(all))
      await expectDone(tool, dir, database)
    })
  })
}

for (const tool of tools.filter(({ down }) => down)) {
  test(`${tool.format} undoes what we applied, and we what it applied`, { timeout }, async ({ databases, dir }) => {
    const [ours, its, reference] = (await databases(3)) as [Database, Database, Database]
    await write(tool, dir, parts)
    await withPgbosun(tool, dir, ours)
    await withTool(tool, dir, its)
    for (const n of numbersTo(3)) {
      await withTool(tool, dir, ours, tool.down)
      expect(await withPgbosun(tool, dir, its, { args: ['migrate', 'down'] })).toEqual([tool.title(7 - n)])
    }
    await write(tool, dir, parts.slice(0, 3))
    await withTool(tool, dir, reference)
    for (const database of [ours, its]) {
      expect(await historyOf(tool, database)).toEqual(await historyOf(tool, reference))
      expect(await schemaOf(database)).toBe(await schemaOf(reference))
      await expectDone(tool, dir, database)
    }
  })

  test(`${tool.format} and we undo everything alike, and apply it again`, { timeout }, async ({ databases, dir }) => {
    const [ours, its, reference] = (await databases(3)) as [Database, Database, Database]
    await write(tool, dir, parts.slice(0, 3))
    for (const database of [ours, its, reference]) await withTool(tool, dir, database)
    expect(await withPgbosun(tool, dir, ours, { args: ['migrate', 'down', '--to', '0'] })).toHaveLength(3)
    for (const _ of numbersTo(3)) await withTool(tool, dir, its, tool.down)
    expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))
    expect(await schemaOf(ours)).toBe(await schemaOf(its))

    await withTool(tool, dir, ours)
    await withPgbosun(tool, dir, its)
    for (const database of [ours, its]) {
      expect(await historyOf(tool, database)).toEqual(await historyOf(tool, ours))
      expect(await schemaOf(database)).toBe(await schemaOf(reference))
      await expectDone(tool, dir, database)
    }
  })
}
