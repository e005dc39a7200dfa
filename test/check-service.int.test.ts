import { expect } from 'vitest'
import { client } from './support/backup.ts'
import { runJson } from './support/cli.ts'
import { test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

// without client programs, that is what is wrong
test.skipIf(!client)(
  'no backup is a warning until a slot has certainly passed, then an error',
  async ({ dir, database, sql }) => {
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({
        backup: { store: `file://${dir}/absent`, schedule: '0 3 * * *' },
        seeds: [{ file: 'a.sql' }],
      }),
      'a.sql': 'create table a (id int)',
    })
    const check = async () => {
      const { json } = await runJson(['check'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
      return { ...json, text: JSON.stringify(json) }
    }
    const none = `has no backup of ${database}:`
    // of a database that nobody has changed, the age is not known
    expect(await check()).toMatchObject({ exit_code: 0, text: expect.stringContaining(none) })

    const seeded = await runJson(['seed'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
    expect(seeded.code, seeded.stderr).toBe(0)
    expect(await check()).toMatchObject({ exit_code: 0, text: expect.stringContaining(none) })

    await sql`update pgbosun.events set at = at - interval '2 days'`
    expect(await check()).toMatchObject({
      exit_code: 50,
      error: {
        message: `the database is as declared, but its backups are not as they should be: backup of ${database}: there is none in file://${dir}/absent: is the store mounted here?`,
        hint: expect.stringContaining('pgbosun backup list'),
      },
    })
  },
)

test.skipIf(!client)(
  'a service without the secrets of the roles checks what it can, and names what it cannot',
  async ({ dir, database }) => {
    const user = uniqueName('app')
    await writeFiles(dir, {
      'migrations/001_a.sql': 'create table a (id int)',
      'pgbosun.yaml': JSON.stringify({
        users: { [user]: { password: { env: 'APP_PASSWORD' } } },
        backup: { store: `file://${dir}/absent`, schedule: '0 3 * * *' },
      }),
    })
    const env = { DATABASE_URL: urlOf(database) }
    const up = await runJson(['up'], {
      cwd: dir,
      env: { ...env, APP_PASSWORD: 'the one of the application' },
    })
    expect(up.code, up.stderr).toBe(0)

    for (const command of ['check', 'status']) {
      const { json } = await runJson([command], { cwd: dir, env })
      expect(json).toMatchObject({ exit_code: 0, error: null })
      expect(json.warnings).toContainEqual(
        expect.stringMatching(new RegExp(`^the password of role ${user} was not compared: .*APP_PASSWORD`)),
      )
      expect(json.warnings).toContainEqual(expect.stringContaining(`has no backup of ${database}:`))
    }
  },
)
