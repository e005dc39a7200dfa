import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { envPy, hasAlembic, ini, revision } from './support/alembic.ts'
import { until } from './support/chaos.ts'
import { run, runJson, start } from './support/cli.ts'
import { urlOf, writeFiles } from './support/postgres.ts'
import { finished } from './support/tools/tool.ts'
import { type Database, parts, schemaOf, test } from './support/turns.ts'

const revisions = parts.map(({ up }, i) => revision(`rev${i + 1}`, i === 0 ? null : `rev${i}`, up))

/** A project with the first so many revisions. */
async function write(dir: string, count: number, first = revisions[0]!): Promise<void> {
  const versions = join(dir, 'alembic', 'versions')
  for (const name of await readdir(versions).catch(() => [])) await rm(join(versions, name), { recursive: true })
  await writeFiles(dir, {
    'alembic.ini': ini,
    'alembic/env.py': envPy,
    'pgbosun.yaml': JSON.stringify({ migrate: { command: ['alembic', 'upgrade', 'head'] } }),
    ...Object.fromEntries(
      [first, ...revisions.slice(1)].slice(0, count).map((text, i) => [`alembic/versions/r${i + 1}.py`, text]),
    ),
  })
}

const environment = ({ name }: Database) => ({ DATABASE_URL: urlOf(name) })

/** Alembic by itself, without us. */
const alembic = (dir: string, database: Database) =>
  finished('alembic', ['upgrade', 'head'], {
    cwd: dir,
    env: { DATABASE_URL: urlOf(database.name).replace('postgres:', 'postgresql:') },
  })

async function withAlembic(dir: string, database: Database): Promise<void> {
  const { code, output } = await alembic(dir, database)
  expect(code, output).toBe(0)
}

/** @returns how many programs were run */
async function withPgbosun(dir: string, database: Database): Promise<number> {
  const { code, json, stderr } = await runJson(['migrate'], { cwd: dir, env: environment(database) })
  expect(code, stderr).toBe(0)
  return (json.results as unknown[]).length
}

const head = async ({ sql }: Database) =>
  (await sql<{ version: string }[]>`select version_num as version from alembic_version`).map(({ version }) => version)

/** Both agree that nothing is left to do. */
async function expectDone(dir: string, database: Database): Promise<void> {
  const before = [await head(database), await schemaOf(database)]
  await withAlembic(dir, database)
  expect(await withPgbosun(dir, database)).toBe(0)
  const { code, json } = await runJson(['migrate', 'status', '--exit-code'], { cwd: dir, env: environment(database) })
  expect([code, json.current_version, json.pending]).toEqual([0, 'rev6', []])
  expect([await head(database), await schemaOf(database)]).toEqual(before)
}

const sleepy = revision(
  'rev1',
  null,
  `select pg_sleep(coalesce(current_setting('compat.sleep', true), '0')::float); ${parts[0]!.up}`,
)
const asleep = ({ sql }: Database) =>
  until('Alembic is at work', async () => {
    const query = sql`select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`
    return (await query).length > 0
  })

describe.skipIf(!hasAlembic)('the real Alembic', { timeout: 180_000 }, () => {
  test('leaves the same version and the same schema, whoever started which half', async ({ databases, dir }) => {
    const [all, itFirst, weFirst] = (await databases(3)) as [Database, Database, Database]
    await write(dir, 3)
    await withAlembic(dir, itFirst)
    expect(await withPgbosun(dir, weFirst)).toBe(1)
    await write(dir, 6)
    await withAlembic(dir, all)
    expect(await withPgbosun(dir, itFirst)).toBe(1)
    await withAlembic(dir, weFirst)
    for (const database of [itFirst, weFirst]) {
      expect(await head(database)).toEqual(['rev6'])
      expect(await schemaOf(database)).toBe(await schemaOf(all))
      await expectDone(dir, database)
    }
  })

  test('`wait-for` waits for the revision that it is just applying, and starts the application then', async ({
    databases,
    dir,
  }) => {
    const [database] = (await databases(1)) as [Database]
    await database.sql.unsafe(`alter database ${database.name} set compat.sleep = '3'`)
    await write(dir, 6, sleepy)
    const its = alembic(dir, database)
    await asleep(database)
    const env = environment(database)
    const early = await run(['migrate', 'wait-for', 'rev6', '--timeout', '1s'], { cwd: dir, env })
    expect(early.code, early.stderr).toBe(10)
    const waiting = await run(['migrate', 'wait-for', 'rev6', '--', 'echo', 'started'], { cwd: dir, env })
    expect([waiting.code, waiting.stdout], waiting.stderr).toEqual([0, 'started\n'])
    expect((await its).code, (await its).output).toBe(0)
  })

  test.for([
    'it comes while we work',
    'we come while it works',
  ])('has no lock: %s, and one of both fails cleanly at most', async (who, { databases, dir }) => {
    const [database, reference] = (await databases(2)) as [Database, Database]
    await database.sql.unsafe(`alter database ${database.name} set compat.sleep = '3'`)
    await write(dir, 6, sleepy)
    const ours = () => start(['migrate'], { cwd: dir, env: environment(database) }).finished
    const its = () => alembic(dir, database)
    const first = who.startsWith('it comes') ? ours() : its()
    await asleep(database)
    const second = who.startsWith('it comes') ? its() : ours()
    const codes = [(await first).code, (await second).code]
    expect(codes).toContain(0)
    await withAlembic(dir, reference)
    expect(await schemaOf(database)).toBe(await schemaOf(reference))
    expect(await database.sql`select user_id::int from orders`).toHaveLength(1)
    await expectDone(dir, database)
  })
})
