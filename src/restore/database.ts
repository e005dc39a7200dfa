// pure
import type { Manifest } from '../archive/manifest.ts'
import { createDatabaseSql } from '../postgres/locale.ts'
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import { isListSetting, splitList, storeSetting } from '../sql/settings.ts'
import type { Label } from './name.ts'

type Properties = Manifest['database']

/**
 * Statements that create the empty database to restore into, in this order. They are sent together, without waiting: so the database
 * has its {@link Label} and is closed to others even if we are killed while it is being created.
 *
 * @param options `serverVersion` of the server, because older ones know fewer properties; `noTablespaces`: it lies in the
 *   default tablespace of the server; `login`: its owner during the restore
 */
export function createStatements(
  name: string,
  properties: Properties,
  story: Label,
  {
    serverVersion,
    noTablespaces = false,
    login,
  }: { serverVersion: number; noTablespaces?: boolean; login?: string | undefined },
): string[] {
  const database = quoteIdent(name)
  const { tablespace = 'pg_default' } = noTablespaces ? {} : properties
  const where = tablespace === 'pg_default' ? '' : ` tablespace ${quoteIdent(tablespace)}`
  return [
    createDatabaseSql(name, properties, serverVersion) + where,
    `comment on database ${database} is ${quoteLiteral(JSON.stringify(story))}`,
    `revoke connect on database ${database} from public`,
    ...(login === undefined ? [] : [`alter database ${database} owner to ${quoteIdent(login)}`]),
  ]
}

/**
 * Statements, for one transaction, that give the restored database its properties from the backup and its name, and open what
 * {@link createStatements} keeps closed. They run as the session user until the owner changes, then as the owner.
 *
 * @param options `noOwner` leaves out the owner, the privileges and the settings of single roles; `login`: its owner so far, which is
 *   dropped; `closed`: nobody else may connect
 */
export function finishStatements(
  work: string,
  into: string,
  properties: Properties,
  {
    noOwner,
    sessionUser,
    login,
    closed = false,
  }: { noOwner: boolean; sessionUser: string; login?: string | undefined; closed?: boolean },
): string[] {
  const database = quoteIdent(into)
  const owner = noOwner ? sessionUser : properties.owner
  const settings = properties.settings.filter(({ role }) => role === null || !noOwner)
  return [
    `alter database ${quoteIdent(work)} rename to ${database}`,
    `comment on database ${database} is ${properties.comment === null ? 'null' : quoteLiteral(properties.comment)}`,
    ...settings.map(({ role, name, value }) => {
      const whose = role === null ? `database ${database}` : `role ${quoteIdent(role)} in database ${database}`
      return storeSetting(whose, name, isListSetting(name) ? splitList(value) : value)
    }),
    ...(properties.connection_limit === -1
      ? []
      : [`alter database ${database} connection limit ${properties.connection_limit}`]),
    ...(owner === (login ?? sessionUser) ? [] : [`alter database ${database} owner to ${quoteIdent(owner)}`]),
    ...(login === undefined ? [] : [`drop role ${quoteIdent(login)}`]),
    ...(owner === sessionUser ? [] : [`set local role ${quoteIdent(owner)}`]),
    ...(closed ? [] : privilegeStatements(database, noOwner ? { ...properties, acl: null } : properties)),
  ]
}

/** Without a list of privileges, PUBLIC gets PostgreSQL's defaults. */
function privilegeStatements(database: string, { acl, owner }: Properties): string[] {
  if (acl === null) return [`grant connect, temporary on database ${database} to public`]
  return [
    `revoke all on database ${database} from public, ${quoteIdent(owner)}`,
    ...acl.map(
      ({ grantee, privilege, grantable }) =>
        `grant ${privilege} on database ${database} to ${grantee === 'PUBLIC' ? 'public' : quoteIdent(grantee)}${grantable ? ' with grant option' : ''}`,
    ),
  ]
}
