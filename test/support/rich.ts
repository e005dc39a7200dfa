import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { quoteIdent, quoteLiteral } from '../../src/sql/quote.ts'
import type { App, Cluster } from './chaos.ts'
import { uniqueName } from './postgres.ts'

const richSql = readFileSync(join(import.meta.dirname, 'rich.sql'), 'utf8')

/** An application whose database has one of everything, with a store of its own. */
export async function richApp(
  cluster: Cluster,
  makeApp: (extra: object, name?: string) => Promise<App>,
  config: object = {},
): Promise<{ app: App; owner: string; reader: string }> {
  const [owner, reader] = [uniqueName('Owner"s'), uniqueName('reader')]
  for (const role of [owner, reader]) await cluster.ask(`create role ${quoteIdent(role)}`)
  const app = await makeApp({ databases: {}, ...config })
  await app.write({
    'pgbosun.yaml': JSON.stringify({
      ...{ database: { url: { env: 'DATABASE_URL' } }, databases: {}, ...config },
      backup: { store: `file://${app.cwd}/store`, ...(config as { backup?: object }).backup },
    }),
  })
  await cluster.ask(`create database ${quoteIdent(app.database)}`)
  await cluster.ask(
    richSql.replaceAll('"$owner"', () => quoteIdent(owner)).replaceAll('"$reader"', () => quoteIdent(reader)),
    app.database,
  )
  return { app, owner, reader }
}

/** Everything in a database as pg_dump writes it, but for our own state, and what belongs to the database itself. */
export async function everything(cluster: Cluster, database: string) {
  const dump = execFileSync(
    'pg_dump',
    ['--no-password', '--exclude-schema=pgbosun', `--dbname=${cluster.url(database)}`],
    {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    },
  )
  const properties = await cluster.ask(
    `select pg_get_userbyid(datdba) as owner, encoding, datcollate, datctype, datconnlimit, datallowconn, datistemplate,
            (select array_agg(a::text order by a::text) from unnest(datacl) a) as acl, shobj_description(d.oid, 'pg_database') as comment,
            (select json_agg(json_build_array(setrole::regrole::text, (select array_agg(c order by c) from unnest(setconfig) c)) order by setrole) from pg_db_role_setting where setdatabase = d.oid) as settings
       from pg_database d where datname = ${quoteLiteral(database)}`,
  )
  return { dump: dump.replace(/^\\(un)?restrict .*$/gm, ''), properties }
}
