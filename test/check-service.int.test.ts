import { expect } from 'vitest'
import { runJson } from './support/cli.ts'
import { test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

test('a service without the secrets of the roles checks what it can, and names what it cannot', async ({
  dir,
  database,
}) => {
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
      expect.stringMatching(new RegExp(`^the password of role ${user} is not compared: .*APP_PASSWORD`)),
    )
    expect(json.warnings).toContainEqual(expect.stringContaining(`there is no backup of ${database} yet`))
  }
})
