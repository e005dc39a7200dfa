import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { applyInitPostgres } from './init-postgres.ts'

const env = {
  INIT_POSTGRES_HOST: 'db',
  INIT_POSTGRES_SUPER_PASS: 's',
  INIT_POSTGRES_USER: 'home',
  INIT_POSTGRES_PASS: 'p',
  INIT_POSTGRES_DBNAME: 'home log home',
}

const declared = (more: Record<string, string> = {}, tree: Record<string, unknown> = {}, initFiles = '/nowhere') => {
  const origins = new Map<string, string>()
  const problems = applyInitPostgres(tree, { ...env, ...more }, { origins, baseDir: '/', initFiles })
  return { tree, problems, origins }
}

describe('what the variables of postgres-init declare', () => {
  test('is each database once, made for the user, and privileges that are only added', () => {
    const { tree, problems } = declared()
    expect(problems).toEqual([])
    const database = {
      create: { owner: 'home' },
      schemas: { public: { access: { home: 'create' } } },
      users: { home: { password: { env: 'INIT_POSTGRES_PASS' } } },
    }
    expect(tree).toEqual({ databases: { home: database, log: database }, manage: { privileges: 'additive' } })
  })

  test('leaves what the file says about privileges', () => {
    expect(declared({}, { manage: { privileges: 'declared' } }).tree).toMatchObject({
      manage: { privileges: 'declared' },
    })
  })

  test('is nothing where the folder of the script has SQL for a database', () => {
    const dir = mkdtempSync(join(tmpdir(), 'initdb-'))
    writeFileSync(join(dir, 'log.sql'), 'select 1')
    const { tree, problems } = declared({}, {}, dir)
    rmSync(dir, { recursive: true })
    expect(problems).toEqual([
      { path: 'INIT_POSTGRES_DBNAME', message: expect.stringMatching(/log\.sql is not run: make it a migration/) },
    ])
    expect(tree).toEqual({})
  })

  for (const [flags, limit] of [
    ['-c 3', 3],
    ['--connection-limit 4 -S', 4],
    ['--no-superuser -l', undefined],
  ] as const)
    test(`takes ${flags}`, () => {
      const { tree } = declared({ INIT_POSTGRES_USER_FLAGS: flags })
      const { home } = tree.databases as Record<string, { users: { home: { connectionLimit?: number } } }>
      expect(home?.users.home.connectionLimit).toBe(limit)
    })
})
