import { readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { type Finished, start } from './support/cli.ts'
import { test, urlOf, writeFiles } from './support/postgres.ts'

const mega = 1_000_000

/** What the image is started with in a container of 64 MiB. */
const small = '--max-semi-space-size=1 --max-old-space-size=32'

const row = (i: number) =>
  `insert into big values (${i}, 'name of row ${i} with some more words', 'x', ${i}.25, '2026-01-01');\n`

function rows(bytes: number): string {
  const parts = ['create table big (id int, a text, b text, c numeric, d timestamptz);\n']
  for (let length = 0; length < bytes; ) length += parts[parts.push(row(parts.length)) - 1]!.length
  return parts.join('')
}

/** Runs the program in a small heap; `peak` is the most memory that it had of its own, in bytes. */
async function runSmall(dir: string, database: string, ...args: string[]): Promise<Finished & { peak: number }> {
  const { child, finished } = start(args, {
    cwd: dir,
    env: { DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_DIR: dir, NODE_OPTIONS: small },
  })
  let peak = 0
  const watch = setInterval(() => {
    peak = Math.max(peak, anonymousBytes(child.pid))
  }, 5)
  const result = await finished
  clearInterval(watch)
  return { ...result, peak }
}

/** Memory of a process that no file stands behind: the kernel cannot take it back. 0 when it has ended. */
function anonymousBytes(pid: number | undefined): number {
  try {
    return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return 0
    throw error
  }
}

describe('a large migration', () => {
  test('of 200,000 statements takes twice its size of memory for a moment, and no heap', { timeout: 240_000 }, async ({
    dir,
    database,
    sql,
  }) => {
    await writeFiles(dir, { '001_small.sql': 'create table small (a int)' })
    const before = await runSmall(dir, database, 'migrate', 'up')
    expect(before).toMatchObject({ code: 0 })
    const text = rows(20 * mega)
    await writeFiles(dir, { '002_big.sql': text })
    const { code, stderr, peak } = await runSmall(dir, database, 'migrate', 'up')
    expect(stderr).not.toContain('error')
    expect(code).toBe(0)
    const [found] = await sql`select count(*)::int as count from big`
    expect(found).toEqual({ count: text.split('\n').length - 2 })
    expect(peak - before.peak).toBeLessThan(2 * text.length + 6 * mega)
    expect(await runSmall(dir, database, 'migrate', 'verify')).toMatchObject({ code: 0 })
  })

  test('is one transaction, though it is several messages, and says where it failed', { timeout: 120_000 }, async ({
    dir,
    database,
    sql,
  }) => {
    const text = rows(3 * mega)
    const line = text.split('\n').length
    await writeFiles(dir, { '001_big.sql': `${text}insert into nowhere values (1);\n${row(1)}` })
    const result = await runSmall(dir, database, 'migrate', 'up')
    expect(result).toMatchObject({ code: 20 })
    expect(result.stderr).toContain(`001_big.sql:${line}:13\n  ${line} | insert into nowhere values (1);`)
    await writeFiles(dir, { '001_big.sql': `${text}select 1 / (count(*) - count(*)) from big;\n${row(1)}` })
    expect((await runSmall(dir, database, 'migrate', 'up')).stderr).toContain(`001_big.sql:${line}:1\n`)
    expect(await sql`select from pg_tables where schemaname = 'public'`).toHaveLength(0)
    await writeFiles(dir, { '001_big.sql': text })
    expect(await runSmall(dir, database, 'migrate', 'up')).toMatchObject({ code: 0 })
  })

  test('keeps the transaction that a file of another tool writes around it', { timeout: 120_000 }, async ({
    dir,
    database,
    sql,
  }) => {
    const text = `begin isolation level serializable;\n${rows(2 * mega)}create table level as select current_setting('transaction_isolation') as level;\ncommit;\n`
    await writeFiles(dir, { '1_big.up.sql': text, '1_big.down.sql': 'drop table big' })
    await writeFiles(dir, { 'pgbosun.yaml': 'migrate: { format: golang-migrate }' })
    const result = await runSmall(dir, database, 'migrate', 'up')
    expect(result).toMatchObject({ code: 0 })
    expect(await sql`select level from level`).toEqual([{ level: 'serializable' }])
  })

  test('is linted in parts, with every place in it right', { timeout: 120_000 }, async ({ dir, database }) => {
    const text = rows(mega)
    const lines = text.split('\n').length
    await writeFiles(dir, {
      '001_t.sql': 'create table t (a int)',
      '002_big.sql': `${text}drop table elsewhere;\n${row(1)}insert into t valuse (1);\n`,
    })
    const { code, stdout } = await runSmall(dir, database, 'migrate', 'lint')
    expect(code).toBe(22)
    expect(stdout).toContain(`002_big.sql:${lines}:`)
    expect(stdout).toContain(`002_big.sql:${lines + 2}:15`)
  })
})

describe('what does not fit is refused with 20 before anything starts:', () => {
  test('a file that no text of Node can hold', async ({ dir, database, sql }) => {
    await writeFiles(dir, { '001_huge.sql': 'select 1;' })
    truncateSync(join(dir, '001_huge.sql'), 600 * 1024 * 1024)
    const { code, stderr } = await runSmall(dir, database, 'migrate', 'up')
    expect(stderr).toMatch(/001_huge\.sql is too large: reading its 600 MiB .*\nhint: .*seed from a CSV file/)
    expect(code).toBe(20)
    expect(await sql`select from pg_namespace where nspname = 'pgbosun'`).toHaveLength(0)
  })

  test('many files that together fill the heap', async ({ dir, database, sql }) => {
    const text = rows(0.9 * mega)
    await writeFiles(dir, Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`${100 + i}_rows.sql`, text])))
    const { code, stderr } = await runSmall(dir, database, 'migrate', 'up')
    expect(stderr).toMatch(
      /\d+_rows\.sql is too large: reading its 1 MiB, after others of \d+ MiB, needs \d+ MiB of Node's heap/,
    )
    expect(code).toBe(20)
    expect(await sql`select from pg_namespace where nspname = 'pgbosun'`).toHaveLength(0)
  })
})
