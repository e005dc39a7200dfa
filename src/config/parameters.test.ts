import { describe, expect, test } from 'vitest'
import { resolveConnection } from './connection.ts'
import { loadConfig } from './load.ts'
import { historyTable, searchPathIn, urlParameters } from './parameters.ts'

const connect = async (env: Record<string, string>) => {
  const { config, baseDir } = await loadConfig({ env, cwd: '/nowhere' })
  return resolveConnection(config, env, baseDir)
}
const fromUrl = (query: string, authority = 'u@h') => connect({ DATABASE_URL: `postgres://${authority}/d?${query}` })

describe('what a URL says is honoured', () => {
  test.each([
    ['search_path=app,public', { searchPath: 'app,public' }],
    ['options=-csearch_path%3Dapp', { searchPath: 'app' }],
    ['options=-c%20search_path%3D%22My%5C%20App%22', { searchPath: '"My App"' }],
    ['options=--search-path%3Dapp%2C%5C%20public', { searchPath: 'app, public' }],
    ['options[search_path]=app', { searchPath: 'app' }],
    ['x-migrations-table=done', { historyTable: 'done' }],
    ['x-migrations-table=%22app%22.%22done%22&x-migrations-table-quoted=true', { historyTable: 'app.done' }],
    ['socket=/run/pg', { endpoints: [{ host: '/run/pg', port: 5432 }] }],
    ['host=/run/pg&port=6000', { endpoints: [{ host: '/run/pg', port: 6000 }] }],
    ['host=::1', { endpoints: [{ host: '::1', port: 5432 }] }],
    ['host=[::1]', { endpoints: [{ host: '::1', port: 5432 }] }],
    ['channel_binding=require', { tls: { mode: 'require' } }],
    ['ssl-mode=verify-full&ssl-ca=system', { tls: { mode: 'verify-full' } }],
    ['requiressl=1', { tls: { mode: 'require' } }],
    ['currentSchema=app', { searchPath: 'app' }],
    ['x-migrations-table=%22done%22&x-migrations-table-quoted=1', { historyTable: 'done' }],
    ['dbname=other', { database: 'other' }],
    ['user=me', { user: 'me' }],
    ['channel_binding=prefer', { tls: { mode: 'prefer' } }],
    ['channel_binding=require&sslmode=verify-full&sslrootcert=system', { tls: { mode: 'verify-full' } }],
    ['sslrootcert=system', { tls: { mode: 'verify-full' } }],
  ])('%s', async (query, expected) => {
    expect(await fromUrl(query)).toMatchObject({ ...expected, ignored: [] })
  })

  test('and the port of the authority stays beside a host in the query', async () => {
    expect((await fromUrl('host=/run/pg', 'u@:6543')).endpoints).toEqual([{ host: '/run/pg', port: 6543 }])
    expect((await fromUrl('host=a,b', 'u@x:1,y:2')).endpoints).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ])
  })
})

describe('what would matter and is not honoured is refused', () => {
  const refused = Object.entries(urlParameters).filter(([, { verdict }]) => verdict === 'refused')
  test.each(refused)('%s', async (name, { note }) => {
    await expect(fromUrl(`${name}=x`)).rejects.toMatchObject({ kind: 'usage', hint: note })
  })

  test.each([
    'options=-crole%3Dadmin',
    'options=-c%20search_path%3Dapp%20-c%20session_replication_role%3Dreplica',
    'options=-cstatement_timeout%3D1',
    'options=endpoint%3Dxyz',
    'channel_binding=require&sslmode=disable',
    'channel_binding=always',
    'sslrootcert=system&sslmode=require',
    'x-migrations-table=a.b',
  ])('%s', async (query) => {
    await expect(fromUrl(query)).rejects.toMatchObject({ kind: 'usage' })
  })
})

test('what only tunes the client is ignored with a warning, or without one', async () => {
  expect((await fromUrl('keepalives=1&application_name=x&gssencmode=disable&sslsni=1')).ignored).toEqual([
    'keepalives',
    'gssencmode',
    'sslsni',
  ])
})

describe('variables of libpq', () => {
  test.each([
    [{ PGOPTIONS: '-c search_path=app' }, { searchPath: 'app' }],
    [{ PGCHANNELBINDING: 'require' }, { tls: { mode: 'require' } }],
    [{ PGREQUIRESSL: '1' }, { tls: { mode: 'require' } }],
    [{ PGSSLNEGOTIATION: 'postgres', PGSSLSNI: '1' }, { tls: { mode: 'prefer' } }],
    [{ PGTARGETSESSIONATTRS: 'read-write' }, { target: 'primary' }],
  ])('%j are honoured where they are the source', async (env, expected) => {
    expect(await connect({ PGHOST: 'h', ...env })).toMatchObject(expected)
  })

  test('an address without a name is the host', async () => {
    expect((await connect({ PGHOSTADDR: '10.0.0.1' })).endpoints).toEqual([{ host: '10.0.0.1', port: 5432 }])
  })

  test('that only tune the client are told', async () => {
    const { ignored } = await connect({
      PGHOST: 'h',
      PGTZ: 'UTC',
      PGGSSLIB: 'gssapi',
      PGAPPNAME: 'x',
      PGSSLMODE: 'disable',
    })
    expect(ignored).toEqual(['PGGSSLIB', 'PGTZ'])
  })

  test.each([
    { PGHOSTADDR: '10.0.0.1' },
    { PGPASSFILE: '/p' },
    { PGSERVICE: 's' },
    { PGSSLCRL: '/c' },
    { PGREQUIREAUTH: 'scram-sha-256' },
    { PGOPTIONS: '-c role=x' },
  ])('%j are refused there', async (env) => {
    await expect(connect({ PGHOST: 'h', ...(env as unknown as Record<string, string>) })).rejects.toMatchObject({
      kind: 'usage',
    })
  })

  test('say nothing beside a URL', async () => {
    const beside = { PGOPTIONS: '-c search_path=other', PGSSLMODE: 'disable', PGPASSFILE: '/p' }
    expect(await connect({ DATABASE_URL: 'postgres://u@h/d', ...beside })).toMatchObject({
      searchPath: undefined,
      tls: { mode: 'prefer' },
    })
  })
})

test('the parts are read by themselves', () => {
  expect(searchPathIn('', 'x')).toBeUndefined()
  expect(historyTable('t', false, 'x')).toBe('t')
})
