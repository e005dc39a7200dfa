import { expect } from 'vitest'
import { run } from './support/cli.ts'
import { test as base, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Line = { level: string; msg: string; user?: string; detail?: string; hint?: string }
type Fixtures = {
  /** Runs a command as a user: the document on stdout, and the warnings of the server in the log. */
  warningsOf: (args: string[], user?: { name: string; password: string }) => Promise<{ ok: boolean; warnings: Line[] }>
}

const test = base.extend<Fixtures>({
  warningsOf: async ({ dir, database }, use) =>
    use(async (args, user) => {
      const env = { DATABASE_URL: urlOf(database, user) }
      const { stdout, stderr } = await run([...args, '--json'], { cwd: dir, env })
      // Nothing but the document is on stdout.
      expect(stdout).toMatch(/^\{.*\}\n$/)
      const lines = stderr.split('\n').filter((line) => line.startsWith('{'))
      const warnings = lines.map((line) => JSON.parse(line) as Line).filter(({ msg }) => /^the server warns/.test(msg))
      return { ok: JSON.parse(stdout).ok, warnings }
    }),
})

const { major } = server()

test.skipIf(major < 15)(
  'what a server warns of at login is logged once, and fails nothing',
  async ({ sql, database, dir, warningsOf }) => {
    await writeFiles(dir, { 'migrations/1_a.sql': 'create table a (id int)' })
    // The server takes it for a database whose order of texts has changed.
    await sql`update pg_database set datcollversion = '0' where datname = ${database}`
    const { ok, warnings } = await warningsOf(['up'])
    expect(ok).toBe(true)
    expect(warnings).toMatchObject([{ level: 'warn', user: 'postgres', msg: expect.stringContaining(database) }])
    expect(await warningsOf(['migrate', 'status'])).toMatchObject({ ok: true, warnings: [{ level: 'warn' }] })
  },
)

test.skipIf(major < 19)(
  'a password that expires within days is told with its instant, one that does not is not',
  async ({ sql, warningsOf }) => {
    const [soon, later] = [uniqueName('soon'), uniqueName('later')]
    const password = 'geheim'
    await sql.unsafe(`create role ${soon} login superuser password '${password}' valid until '${days(3)}';
    create role ${later} login superuser password '${password}' valid until '${days(30)}'`)
    expect(await warningsOf(['wait'], { name: later, password })).toEqual({ ok: true, warnings: [] })
    const { ok, warnings } = await warningsOf(['up'], { name: soon, password })
    expect(ok).toBe(true)
    expect(warnings).toMatchObject([
      {
        user: soon,
        hint: `the password expires at ${days(3)}: set a later \`validUntil\`, or run ALTER ROLE … VALID UNTIL`,
      },
    ])
  },
)

test.skipIf(major < 19)(
  'a login that is made for a run expires with it: that is no warning',
  async ({ sql, database, dir, warningsOf }) => {
    await writeFiles(dir, {
      'migrations/1_a.sql': 'create table a (id int)',
      'pgbosun.yaml': `databases: { ${database}: { owner: ${database}_owner } }`,
    })
    expect(await warningsOf(['up'])).toEqual({ ok: true, warnings: [] })
    expect(await sql`select tableowner = ${`${database}_owner`} as owns from pg_tables where tablename = 'a'`).toEqual([
      { owns: true },
    ])
  },
)

test.skipIf(major < 19)('an MD5 password is told', async ({ sql, warningsOf }) => {
  const name = uniqueName('md5')
  await sql.unsafe(`set password_encryption = 'md5'; create role ${name} login superuser password 'geheim'`)
  const { ok, warnings } = await warningsOf(['wait'], { name, password: 'geheim' })
  // This server asks for SCRAM, which cannot be done with such a password.
  expect([ok, warnings]).toEqual([false, []])
})

/** RFC 3339 without fractions of a second. */
function days(count: number): string {
  const at = new Date(startedAt + count * 86_400_000)
  return at.toISOString().replace(/\.\d+/, '')
}

const startedAt = Date.now()
