import { execFileSync } from 'node:child_process'
import { describe, expect } from 'vitest'
import { client, test } from './support/backup.ts'
import { open, uniqueName, urlOf } from './support/postgres.ts'

/** `caf` and the byte e9, which is no UTF-8, as SQL that yields the name in a SQL_ASCII database. */
const cafe = `convert_from('\\x636166e9'::bytea, 'SQL_ASCII')`

async function sqlAscii() {
  const name = uniqueName('ascii')
  const admin = open('postgres')
  await admin.unsafe(`create database ${name} template template0 encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C'`)
  await admin.end()
  const execute = async (format: string) => {
    const sql = open(name)
    await sql.unsafe(`do $do$ begin execute format($fmt$${format}$fmt$, ${cafe}); end $do$`).finally(() => sql.end())
  }
  return { name, url: urlOf(name), execute }
}

const dumpOf = (url: string) =>
  execFileSync('pg_dump', [`--dbname=${url}`], { encoding: 'latin1' }).replace(/^\\(un)?restrict .*$/gm, '')

describe.skipIf(!client)('a name that is not UTF-8, in a SQL_ASCII database,', () => {
  test('of a table, a schema, a column or a function: the backup is right, and says which rows it did not count', {
    timeout: 120_000,
  }, async ({ configured }) => {
    const { name, url, execute } = await sqlAscii()
    await execute(
      'create table public.%1$I (a int); insert into public.%1$I values (1), (2); comment on table public.%1$I is %1$L',
    )
    await execute('create table plain (%1$I int, b text); insert into plain values (1, %1$L)')
    await execute(
      'create schema %1$I; create table %1$I.t (a int); create function %1$I.f() returns text language sql return %1$L',
    )
    await execute('create table "größe" (a int); insert into "größe" values (1)')
    const pgbosun = await configured({ url })
    const { code, json, stderr } = await pgbosun.runJson('backup')
    expect(code, stderr).toBe(0)
    expect(json.warnings).toEqual([expect.stringContaining('caf\\xe9'), expect.stringContaining('caf\\xe9')])
    expect(String(json.warnings)).toContain('not valid UTF-8')
    const into = uniqueName('ascii_copy')
    const restored = await pgbosun.runJson('restore', '--into', into, '--yes', '--as-superuser')
    expect(restored.code, restored.stderr).toBe(0)
    expect(restored.json.rows_compared).toBe(2)
    expect(dumpOf(urlOf(into))).toBe(dumpOf(urlOf(name)))
    expect(String(restored.json.warnings)).toContain('caf\\xe9')
  })

  test('without the rights of a superuser a restore says that it cannot read it', { timeout: 120_000 }, async ({
    configured,
  }) => {
    const { url, execute } = await sqlAscii()
    await execute('create table public.%1$I (a int)')
    const pgbosun = await configured({ url })
    expect((await pgbosun.run('backup')).code).toBe(0)
    const { code, json } = await pgbosun.runJson('restore', '--into', uniqueName('ascii_copy'), '--yes')
    expect([code, json.touched]).toEqual([70, false])
    expect(json.error?.message).toContain('its table caf\\xe9 is not valid in the encoding SQL_ASCII')
    expect(json.error?.hint).toContain('--as-superuser')
  })

  test('of a role, a comment on the database or a setting is refused by what it is', { timeout: 120_000 }, async ({
    configured,
  }) => {
    const { name, url, execute } = await sqlAscii()
    const pgbosun = await configured({ url })
    const refused = async () => {
      const { code, json } = await pgbosun.runJson('backup')
      expect(code).toBe(60)
      return `${json.error?.message} ${json.error?.hint}`
    }
    await execute(`comment on database ${name} is %1$L`)
    expect(await refused()).toMatch(/comment on the database is not valid UTF-8: caf\\xe9 .*comment on database/)
    await execute(`comment on database ${name} is null; alter database ${name} set app.place = %1$L`)
    expect(await refused()).toMatch(/setting app\.place of the database is not valid UTF-8: caf\\xe9/)
    await execute(
      `alter database ${name} reset app.place; create role %1$I; create table t (a int); alter table t owner to %1$I`,
    )
    try {
      expect(await refused()).toMatch(/name of role is not valid UTF-8: caf\\xe9 .*alter role … rename/)
    } finally {
      await execute(`alter table t owner to postgres; drop role %1$I`)
    }
    expect((await pgbosun.runJson('backup')).code).toBe(0)
  })

  test('of a role is refused in a database with another encoding, too', async ({ configured, database, sql }) => {
    const { execute } = await sqlAscii()
    await execute('create role %1$I')
    try {
      await execute(`alter database ${database} owner to %1$I`)
      const { code, json } = await (await configured()).runJson('backup')
      expect([code, json.error?.message]).toEqual([60, expect.stringContaining('caf\\xe9')])
    } finally {
      await sql.unsafe(`alter database ${database} owner to postgres`)
      await execute('drop role %1$I')
    }
  })
})
