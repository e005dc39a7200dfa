import { describe, expect, test } from 'vitest'
import { needsLogin, type OwnRights, refuseProblems } from './isolation.ts'

const rights = (more: string[], mayCreateRole = false): OwnRights => ({
  user: 'me "x"',
  superuser: more.includes('is a superuser'),
  mayCreateRole,
  more,
})

describe('a login of its own', () => {
  test('is made where code could gain something', () => {
    expect(needsLogin(rights(['is a superuser'], true), false)).toBe(true)
    expect(needsLogin(rights(['may create roles'], true), false)).toBe(true)
  })

  test('is not where there is nothing to gain, or a person says so', () => {
    expect(needsLogin(rights([]), false)).toBe(false)
    expect(needsLogin(rights(['is a superuser'], true), true)).toBe(false)
  })

  test('that cannot be made is a refusal with the ways out', () => {
    const refused = () => needsLogin(rights(['bypasses row security', 'is a member of pg_write_server_files']), false)
    expect(refused).toThrow(
      'code in this backup would run with the rights of me "x", which bypasses row security and is a member of pg_write_server_files and may not create a login for this restore; nothing was changed',
    )
    expect(refused).toThrow(
      expect.objectContaining({ kind: 'refused', hint: expect.stringContaining('alter role "me ""x""" createrole') }),
    )
  })
})

test('the first three problems are named', () => {
  expect(refuseProblems([], 'postgres')).toBeUndefined()
  expect(refuseProblems(['a', 'b', 'c', 'd'], 'postgres')).toMatchObject({
    kind: 'restore',
    message:
      'this backup cannot be restored without running code in it with the rights of postgres: a; b; c; and 1 more; nothing was changed',
    hint: expect.stringContaining('--as-superuser'),
  })
})
