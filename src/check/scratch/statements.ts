// pure
import { createDatabaseSql } from '../../postgres/locale.ts'
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'
import type { Model, Privilege, SchemaAccess } from './model.ts'
import type { ScratchStory } from './name.ts'

/**
 * Statements that create the empty scratch database. Send them together without waiting: then it gets its comment and is closed to
 * others even if we are killed while it is created.
 */
export function createStatements(name: string, model: Model, story: ScratchStory, serverVersion: number): string[] {
  return [
    createDatabaseSql(name, model, serverVersion),
    `comment on database ${quoteIdent(name)} is ${quoteLiteral(JSON.stringify(story))}`,
    `revoke connect on database ${quoteIdent(name)} from public`,
  ]
}

/**
 * SQL for each setting of the live database, which gives the scratch database the same one. The value never leaves the server,
 * because it may be a secret.
 */
export const settingStatements = (scratch: string, { name: live, settings, user }: Model) =>
  settings.map(({ name, own }) => {
    const of = own ? quoteLiteral(user.name) : 'null'
    const whose = `${own ? `role ${quoteIdent(user.name)} in ` : ''}database ${quoteIdent(scratch)}`
    return {
      name,
      sql: `select pg_catalog.set_config(${quoteLiteral(name)}, pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1), true) is not null as done
          from pg_catalog.pg_db_role_setting s join pg_catalog.pg_database d on d.oid = s.setdatabase, pg_catalog.unnest(s.setconfig) c
         where d.datname = ${quoteLiteral(live)} and pg_catalog.split_part(c, '=', 1) = ${quoteLiteral(name)}
           and s.setrole = coalesce((select oid from pg_catalog.pg_roles where rolname = ${of}), 0);
        alter ${whose} set ${name.split('.').map(quoteIdent).join('.')} from current`,
    }
  })

/**
 * SQL that gives the scratch database the owner of the live one, if we may, and its privileges. Nobody else may connect.
 */
export function accessStatements(scratch: string, { owner, privileges, user }: Model): string {
  const database = quoteIdent(scratch)
  const handsOver = owner !== user.name && user.mayActAsOwner
  return [
    ...(handsOver
      ? [`alter database ${database} owner to ${quoteIdent(owner)}`, `set local role ${quoteIdent(owner)}`]
      : []),
    `revoke all on database ${database} from public`,
    `grant connect on database ${database} to ${quoteIdent(user.name)}`,
    ...grants(
      `database ${database}`,
      privileges.filter(({ privilege }) => privilege !== 'CONNECT'),
    ),
  ].join('; ')
}

/**
 * SQL that makes schema `public` of the scratch database as it is in the live one; undefined when it is already.
 * @param role the role that may do that
 */
export function publicStatements(
  wanted: SchemaAccess | null,
  found: SchemaAccess | null,
  role: string | undefined,
): string | undefined {
  if (!wanted || !found || JSON.stringify(wanted) === JSON.stringify(found)) return undefined
  return [
    ...(role === undefined ? [] : [`set local role ${quoteIdent(role)}`]),
    ...(wanted.owner === found.owner ? [] : [`alter schema public owner to ${quoteIdent(wanted.owner)}`]),
    'revoke all on schema public from public',
    ...grants('schema public', wanted.privileges),
  ].join('; ')
}

const grants = (object: string, privileges: Privilege[]) =>
  privileges.map(
    ({ grantee, privilege }) =>
      `grant ${privilege} on ${object} to ${grantee === 'PUBLIC' ? 'public' : quoteIdent(grantee)}`,
  )
