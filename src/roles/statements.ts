// pure
import { quoteIdent, quoteLiteral, quoteName } from '../sql/quote.ts'
import { storeSetting } from '../sql/settings.ts'
import type { ClusterAction, DatabaseAction, GrantTarget, OwnMembership } from './actions.ts'
import { sameAsRead } from './same-object.ts'

type Of<Action, Do> = Extract<Action, { do: Do }>

/**
 * The SQL of an action on the whole server, in order. Each string is one round trip and one transaction,
 * unless the caller has opened one.
 */
export function clusterSql(action: ClusterAction): string[] {
  switch (action.do) {
    case 'join':
    case 'leave':
      return [ownMembership(action)]
    case 'drop leftover':
      return [`drop database if exists ${quoteIdent(action.database)} with (force)`]
    case 'create role':
      return [`create role ${quoteIdent(action.role)} ${action.login ? 'login' : 'nologin'}`]
    case 'alter role':
      return [`alter role ${quoteIdent(action.role)} ${action.value ? '' : 'no'}${action.attribute}`]
    case 'limit role':
      return [`alter role ${quoteIdent(action.role)} connection limit ${action.connectionLimit}`]
    case 'expire role':
      return [`alter role ${quoteIdent(action.role)} valid until ${quoteLiteral(action.validUntil)}`]
    case 'set password':
      return [`alter role ${quoteIdent(action.role)} password ${quoteLiteral(action.sent)}`]
    case 'grant role':
      return [grantRole(action)]
    case 'revoke role':
      if (action.impossible) return []
      return [
        `revoke ${action.adminOnly ? 'admin option for ' : ''}${quoteIdent(action.role)} from ${quoteIdent(action.member)}${grantedBy(action.grantor)}${action.cascade ? ' cascade' : ''}`,
      ]
    case 'set':
      return [setSql(action)]
    case 'create database':
      return createDatabase(action)
    case 'own database':
      return [`alter database ${quoteIdent(action.database)} owner to ${quoteIdent(action.owner)}`]
    case 'limit database':
      return [`alter database ${quoteIdent(action.database)} connection limit ${action.connectionLimit}`]
    case 'grant on database':
      return [
        `grant ${action.privileges.join(', ')} on database ${quoteIdent(action.database)} to ${grantee(action.grantee)}${withOption(action)}`,
      ]
    case 'revoke on database':
      if (action.impossible) return []
      return asGrantor(
        action.grantor,
        `revoke ${action.optionOnly ? 'grant option for ' : ''}${action.privileges.join(', ')} on database ${quoteIdent(action.database)} from ${grantee(action.grantee)}${action.cascade ? ' cascade' : ''}`,
      )
  }
}

/** The SQL of an action in a database, to be sent inside a transaction. */
export function databaseSql(action: DatabaseAction): string[] {
  switch (action.do) {
    case 'join':
    case 'leave':
      return [ownMembership(action)]
    case 'create schema':
      return [`create schema ${quoteIdent(action.schema)} authorization ${quoteIdent(action.owner)}`]
    case 'own schema':
      return [`alter schema ${quoteIdent(action.schema)} owner to ${quoteIdent(action.owner)}`]
    case 'close schema':
      return [`revoke create on schema ${quoteIdent(action.schema)} from public`]
    case 'reassign':
      // In one string, which is one transaction: an object that has changed since the plan keeps its owner.
      return action.objects.map(
        (object) =>
          `alter ${action.word} ${object.identity} owner to ${quoteIdent(action.owner)}; ${sameAsRead(object)}`,
      )
    case 'create extension': {
      const schema = action.schema === null ? '' : ` schema ${quoteIdent(action.schema)}`
      const version = action.version === undefined ? '' : ` version ${quoteLiteral(action.version)}`
      return [`create extension ${quoteIdent(action.extension)}${schema}${version}`]
    }
    case 'update extension':
      return [`alter extension ${quoteIdent(action.extension)} update to ${quoteLiteral(action.version)}`]
    case 'move extension':
      return [`alter extension ${quoteIdent(action.extension)} set schema ${quoteIdent(action.schema)}`]
    case 'drop extension':
      // without CASCADE: what came to need it meanwhile is not dropped
      return action.impossible ? [] : [`drop extension ${quoteIdent(action.extension)}`]
    case 'grant':
      return [`grant ${privilegesOn(action)} on ${targets(action)} to ${grantee(action.grantee)}${withOption(action)}`]
    case 'revoke':
      return action.impossible ? [] : asGrantor(action.grantor, revoke(action))
    case 'grant default':
      return [`${forCreator(action)} grant ${onFuture(action)} to ${grantee(action.grantee)}`]
    case 'revoke default':
      return [
        `${forCreator(action)} revoke ${action.optionOnly ? 'grant option for ' : ''}${onFuture(action)} from ${grantee(action.grantee)}`,
      ]
  }
}

/** The grantor is left to the server, which chooses the same one for both. */
const ownMembership = ({ do: verb, role, user, withOptions }: OwnMembership) =>
  verb === 'join'
    ? `grant ${quoteIdent(role)} to ${quoteIdent(user)}${withOptions ? ' with inherit true, set true' : ''}`
    : `revoke ${quoteIdent(role)} from ${quoteIdent(user)}`

/** Only the grantor of a privilege can revoke it. */
const asGrantor = (grantor: string | null, statement: string): string[] =>
  grantor === null ? [statement] : [`set local role ${quoteIdent(grantor)}`, statement, 'set local role none']

const grantedBy = (grantor: string | null) => (grantor === null ? '' : ` granted by ${quoteIdent(grantor)}`)

function grantRole(action: Of<ClusterAction, 'grant role'>): string {
  const { role, member, grantor, withOptions, admin, inherit, set } = action
  // Options that are left out would stay as they are.
  const modern = ` with admin ${admin}, inherit ${inherit}, set ${set}`
  const options = withOptions ? modern : admin ? ' with admin option' : ''
  return `grant ${quoteIdent(role)} to ${quoteIdent(member)}${options}${grantedBy(grantor)}`
}

function setSql({ setting: { role, database, name, value } }: Of<ClusterAction, 'set'>): string {
  const where =
    role === null
      ? `database ${quoteIdent(database!)}`
      : `role ${quoteIdent(role)}${database === null ? '' : ` in database ${quoteIdent(database)}`}`
  return storeSetting(where, name, value)
}

/** Under a temporary name first: the database gets its name only after PUBLIC has lost its privileges. */
function createDatabase({ database, temporary, owner, create }: Of<ClusterAction, 'create database'>): string[] {
  const { encoding = 'UTF8', locale, template = 'template0', localeProvider, icuLocale } = create
  const localeSql = [
    ...(locale === undefined ? [] : [` locale ${quoteLiteral(locale)}`]),
    ...(localeProvider === undefined ? [] : [` locale_provider ${localeProvider}`]),
    ...(icuLocale === undefined ? [] : [` icu_locale ${quoteLiteral(icuLocale)}`]),
  ].join('')
  const name = quoteIdent(temporary)
  return [
    `create database ${name} owner ${quoteIdent(owner)} template ${quoteIdent(template)} encoding ${quoteLiteral(encoding)}${localeSql}`,
    `revoke all on database ${name} from public; alter database ${name} rename to ${quoteIdent(database)}`,
  ]
}

const grantee = (name: string) => (name === 'PUBLIC' ? 'public' : quoteIdent(name))

function targets({ kind, targets }: { kind: string; targets: GrantTarget[] }): string {
  if (kind === 'schema') return `schema ${targets.map(({ name }) => quoteIdent(name)).join(', ')}`
  const names = targets.map(({ schema, name, arguments: types }) => {
    if (kind === 'large object') return name
    return (schema === null ? quoteIdent(name) : quoteName(schema, name)) + (types === null ? '' : `(${types})`)
  })
  return `${kind} ${names.join(', ')}`
}

function revoke(action: Of<DatabaseAction, 'revoke'>): string {
  return `revoke ${action.optionOnly ? 'grant option for ' : ''}${privilegesOn(action)} on ${targets(action)} from ${grantee(action.grantee)}${action.cascade ? ' cascade' : ''}`
}

function privilegesOn({ privileges, column }: { privileges: string[]; column: string | null }): string {
  const columns = column === null ? '' : ` (${quoteIdent(column)})`
  return privileges.map((privilege) => `${privilege}${columns}`).join(', ')
}

const withOption = (action: { withOption: boolean }) => (action.withOption ? ' with grant option' : '')

type Default = Of<DatabaseAction, 'grant default' | 'revoke default'>

const forCreator = ({ creator, schema }: Default) =>
  `alter default privileges for role ${quoteIdent(creator)}${schema === null ? '' : ` in schema ${quoteIdent(schema)}`}`

const onFuture = ({ privileges, kind }: Default) => `${privileges.join(', ')} on ${kind}s`
