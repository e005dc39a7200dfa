import { expect } from 'vitest'
import { run, runJson } from './support/cli.ts'
import { server, test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

test('what a file with every preset stands for is printed, and used as a file it plans the same before and after', async ({
  dir,
}) => {
  // From PostgreSQL 19 on, names have no line breaks.
  const name = `${uniqueName('expanded')} "x"${server().major < 19 ? '\n' : ' '}: é`
  const of = (user: string) => `${name} ${user}`
  const secret = { password: { env: 'PW' } }
  const file = {
    databases: {
      [name]: {
        users: Object.fromEntries(
          ['app', 'owner', 'rw', 'readonly'].map((preset) => [of(preset), { preset, ...secret }]),
        ),
        public: { connect: 'revoke' },
      },
    },
    users: Object.fromEntries(
      ['backup', 'monitor', 'replication'].map((preset) => [of(preset), { preset, ...secret }]),
    ),
  }
  await writeFiles(dir, { 'short.yaml': JSON.stringify(file) })
  const env = { DATABASE_URL: urlOf('postgres'), PW: 'hush, secret' }
  const changes = async (config: string) => {
    const { code, json } = await runJson(['roles', 'plan', '--config', config], { cwd: dir, env })
    const steps = (json.steps ?? []) as { changes: { action: string; object: string; reason: string }[] }[]
    return {
      code,
      error: json.error,
      changes: steps.flatMap((step) => step.changes.map((one) => JSON.stringify(one))).sort(),
    }
  }
  const { code, stdout } = await run(['roles', 'plan', '--expanded', '--config', 'short.yaml'], { cwd: dir, env })
  expect([code, stdout]).toEqual([0, expect.not.stringContaining('hush')])
  await writeFiles(dir, { 'long.yaml': stdout })

  const before = await changes('short.yaml')
  expect(before).toMatchObject({ code: 0, error: null })
  expect(before.changes.length).toBeGreaterThan(20)
  expect(await changes('long.yaml')).toEqual(before)

  expect(await runJson(['roles', 'apply', '--config', 'short.yaml'], { cwd: dir, env })).toMatchObject({ code: 0 })
  for (const config of ['short.yaml', 'long.yaml'])
    expect(await changes(config)).toEqual({ code: 0, error: null, changes: [] })
})
