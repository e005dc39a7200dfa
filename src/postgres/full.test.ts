import { expect, test } from 'vitest'
import { limitHint, noConnectionLeft } from './full.ts'

const names = { user: 'app', database: 'Shop' }

test('the function that refused tells whose limit is reached, in any language', () => {
  expect(noConnectionLeft({ routine: 'InitializeSessionUserId' }, names)).toEqual({
    state: 'the connection limit of the role app is reached',
    hint: 'end other sessions of the role, or raise its limit: `alter role "app" connection limit -1` removes it',
  })
  expect(noConnectionLeft({ routine: 'CheckMyDatabase' }, names)).toEqual({
    state: 'the connection limit of the database Shop is reached',
    hint: 'end other sessions in the database, or raise its limit: `alter database "Shop" connection limit -1` removes it',
  })
  expect(limitHint({ routine: 'InitProcess' })).toBe('lower the pools of the applications, or raise max_connections')
})

test('what is not known is said as three possibilities', () => {
  expect(noConnectionLeft(new Error('too many connections for role "app"'), names)).toEqual({
    state: 'the server has no free connection',
    hint: expect.stringMatching(/max_connections; .* `alter role "app" .* or `alter database "Shop" /),
  })
  expect(limitHint({ routine: 'ofAFork' })).toContain('`alter role NAME connection limit -1`')
})
