import { describe, expect, test } from 'vitest'
import { loadConfig } from './load.ts'
import { historyTable, settingsIn, urlParameters } from './parameters.ts'
import { remarks, resolveBackupConnection, resolveConnection, resolveMigrateConnection } from './resolve.ts'

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
    ['options=-cstatement_timeout%3D1', { settings: { statement_timeout: '1' } }],
    [
      'options=-c%20app.tenant%3Da%5C%20%5C%5Cb%3Dc%09--Work-Mem%3D1GB%20-csearch_path%3Dapp',
      { settings: { 'app.tenant': 'a \\b=c', work_mem: '1GB' }, searchPath: 'app' },
    ],
    ['options=-c%20work_mem%3D1MB%20-c%20work_mem%3D2MB%5C', { settings: { work_mem: '2MB' } }],
    ['options=-c%20application_name%3Dx%20-cclient_encoding%3DUTF8', { settings: {} }],
    ['options[work_mem]=1MB&options[app.tenant]=a b', { settings: { work_mem: '1MB', 'app.tenant': 'a b' } }],
    ['timezone=Europe/Vienna', { settings: { timezone: 'Europe/Vienna' } }],
    ['TimeZone=UTC&options=-ctimezone%3DAsia/Tokyo', { settings: { timezone: 'UTC' } }],
    ['x-migrations-table=done', { historyTable: 'done' }],
    ['x-migrations-table=%22app%22.%22done%22&x-migrations-table-quoted=true', { historyTable: 'app.done' }],
    ['socket=/run/pg', { endpoints: [{ host: '/run/pg', port: 5432 }] }],
    ['host=/run/pg&port=6000', { endpoints: [{ host: '/run/pg', port: 6000 }] }],
    ['host=::1', { endpoints: [{ host: '::1', port: 5432 }] }],
    ['host=[::1]', { endpoints: [{ host: '::1', port: 5432 }] }],
    ['hostaddr=10.0.0.1&sslrootcert=system', { endpoints: [{ host: 'h', port: 5432, address: '10.0.0.1' }] }],
    [
      'host=a,b&hostaddr=,fe80::1&sslrootcert=system',
      {
        endpoints: [
          { host: 'a', port: 5432 },
          { host: 'b', port: 5432, address: 'fe80::1' },
        ],
      },
    ],
    ['channel_binding=require', { tls: { mode: 'require' } }],
    ['ssl-mode=verify-full&ssl-ca=system', { tls: { mode: 'verify-full' } }],
    ['requiressl=1', { tls: { mode: 'require' } }],
    ['currentSchema=app', { searchPath: 'app' }],
    ['x-migrations-table=%22done%22&x-migrations-table-quoted=1', { historyTable: 'done' }],
    ['dbname=other', { database: 'other' }],
    ['dbname=a+b&options=-capp.x%3Da+b', { database: 'a+b', settings: { 'app.x': 'a+b' } }],
    ['user=a%2Bb%20c=d', { user: 'a+b c=d' }],
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
    'options=-c%20event_triggers%3Doff',
    'options=--local-preload-libraries%3Dx',
    'options=-c%20Row_Security%3Doff',
    'options=-c%20zero-damaged-pages%3Don',
    'options=-c%20session_authorization%3Dx',
    'options=-c%20default_transaction_read_only%3Don',
    'options=-c%20default_transaction_isolation%3Dserializable',
    'options=-c%20lock_timeout%3D1s',
    'options=-c%20client_encoding%3Dlatin1',
    'options=-c%20standard_conforming_strings%3Doff',
    'options[role]=admin',
    'options[session-replication-role]=replica',
    'options=-c%20work_mem',
    'options=-B%201000',
    'options=-cwork_mem%3D1MB%20nonsense',
    'options=-c%20%5C%20work_mem%3D1',
    'options=endpoint%3Dxyz',
    'channel_binding=require&sslmode=disable',
    'channel_binding=always',
    'sslrootcert=system&sslmode=require',
    'x-migrations-table=a.b',
    'hostaddr=10.0.0.1',
    'hostaddr=10.0.0.1&sslmode=require',
    'hostaddr=10.0.0.1,10.0.0.2&sslrootcert=system',
    'hostaddr=elsewhere&sslrootcert=system',
    'hostaddr=10.0.0.1&host=/run/pg&sslrootcert=system',
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
    [{ PGOPTIONS: '-c search_path=app --geqo=off' }, { searchPath: 'app', settings: { geqo: 'off' } }],
    [
      { PGHOSTADDR: '10.0.0.1', PGSSLROOTCERT: 'system' },
      { endpoints: [{ host: 'h', port: 5432, address: '10.0.0.1' }] },
    ],
    [{ PGCHANNELBINDING: 'require' }, { tls: { mode: 'require' } }],
    [{ PGREQUIRESSL: '1' }, { tls: { mode: 'require' } }],
    [{ PGSSLNEGOTIATION: 'postgres', PGSSLSNI: '1' }, { tls: { mode: 'prefer' } }],
    [{ PGTARGETSESSIONATTRS: 'read-write' }, { target: 'primary' }],
  ])('%j are honoured where they are the source', async (env, expected) => {
    expect(await connect({ PGHOST: 'h', ...env })).toMatchObject(expected)
  })

  test('an address without a name is the host', async () => {
    const endpoints = [{ host: '10.0.0.1', port: 5432 }]
    expect((await connect({ PGHOSTADDR: '10.0.0.1' })).endpoints).toEqual(endpoints)
    expect((await fromUrl('hostaddr=10.0.0.1', 'u@')).endpoints).toEqual(endpoints)
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
    [{ PGSSLMODE: 'geheim' }, 'PGSSLMODE has an unknown value'],
    [{ PGCHANNELBINDING: 'geheim' }, 'PGCHANNELBINDING has an unknown value'],
    [{ PGCHANNELBINDING: 'require', PGSSLMODE: 'disable' }, 'PGCHANNELBINDING is require, but TLS is switched off'],
    [
      { PGTARGETSESSIONATTRS: 'standby' },
      'PGTARGETSESSIONATTRS must allow writing, because pgbosun changes the database',
    ],
    [{ PGHOSTADDR: '10.0.0.1' }, 'PGHOSTADDR needs sslmode verify-full, but it is prefer'],
    [{ PGOPTIONS: 'geheim' }, 'PGOPTIONS contains something that is not a setting'],
    [{ PGOPTIONS: '-c role=x' }, 'the setting role in PGOPTIONS is not supported and cannot be ignored'],
  ])('%j are named in the message', async (env, message) => {
    await expect(connect({ PGHOST: 'h', ...(env as unknown as Record<string, string>) })).rejects.toMatchObject({
      message,
    })
  })

  test('a parameter of a URL is named with the source of the URL', async () => {
    await expect(fromUrl('sslmode=geheim')).rejects.toMatchObject({
      message: 'sslmode in DATABASE_URL has an unknown value',
    })
    await expect(fromUrl('options=geheim')).rejects.toMatchObject({
      message: 'options in DATABASE_URL contains something that is not a setting',
    })
  })

  test.each([
    { PGHOSTADDR: '10.0.0.1', PGSSLMODE: 'verify-ca', PGSSLROOTCERT: '/f' },
    { PGSSLCRL: '/c' },
    { PGREQUIREAUTH: 'scram-sha-256' },
    { PGOPTIONS: '-c role=x' },
  ])('%j are refused there', async (env) => {
    await expect(connect({ PGHOST: 'h', ...(env as unknown as Record<string, string>) })).rejects.toMatchObject({
      kind: 'usage',
    })
  })

  test('PG* variables beside a URL are ignored', async () => {
    const beside = { PGOPTIONS: '-c search_path=other', PGSSLMODE: 'disable', PGPASSFILE: '/p' }
    expect(await connect({ DATABASE_URL: 'postgres://u@h/d', ...beside })).toMatchObject({
      searchPath: undefined,
      tls: { mode: 'prefer' },
    })
  })
})

describe('what is for files that are run', () => {
  const queries = ['search_path=app', 'options=-cwork_mem%3D1MB', 'x-migrations-table=done', 'timezone=UTC']
  const names = ['search_path', 'work_mem', 'x-migrations-table', 'timezone']

  test.each(queries.map((query, i) => [query, names[i]]))('%s is refused in migrate.url', async (query, name) => {
    const env = { PGBOSUN_MIGRATE_URL: `postgres://u@h/d?${query}` }
    const { config, baseDir } = await loadConfig({ env, cwd: '/nowhere' })
    expect(() => resolveMigrateConnection(config, env, baseDir)).toThrow(
      expect.objectContaining({ kind: 'usage', message: `${name} in migrate.url would have no effect` }),
    )
  })

  test('is ignored in backup.url, with a warning', async () => {
    const env = { PGBOSUN_BACKUP_URL: `postgres://u@h/d?${queries.join('&')}` }
    const { config, baseDir } = await loadConfig({ env, cwd: '/nowhere' })
    const said = ['search_path', 'work_mem', 'timezone', 'x-migrations-table']
    expect(remarks(resolveBackupConnection(config, env, baseDir))).toEqual(
      said.map((name) => `${name} in backup.url is ignored`),
    )
  })
})

test('the parts are read by themselves', () => {
  expect(settingsIn('', 'x')).toEqual({})
  expect(historyTable('t', false, 'x')).toBe('t')
})
