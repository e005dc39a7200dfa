// pure
import type { Manifest } from '../archive/manifest.ts'
import { AppError } from '../errors.ts'
import { quoteIdent } from '../sql/quote.ts'
import { visible, visibleSql } from '../text.ts'
import { counted, plural, someOf } from '../units.ts'

/** What the server to restore to says about itself; see inspect.ts. */
export type TargetServer = {
  /** `server_version_num`: 150020 is 15.20. */
  serverVersion: number
  user: string
  superuser: boolean
  mayCreateDatabases: boolean
  /** Whether the new name is taken. */
  exists: boolean
  /** Of the backup's roles, those that exist. */
  roles: string[]
  /** Those of them that are superusers. */
  superusers: string[]
  /** Of the backup's tablespaces, those that exist, and those of them in which the session user may create something. */
  tablespaces: string[]
  usableTablespaces: string[]
  /** Of the backup's extensions, those that can be created. */
  extensions: string[]
  /** Whether the session user may make the backup's owner the owner of a database. */
  mayActAsOwner: boolean
}

/** The parts of a manifest that the guard needs. */
export type Guarded = Pick<
  Manifest,
  'id' | 'server_version' | 'server_version_num' | 'roles' | 'superusers' | 'tablespaces' | 'extensions'
> & {
  database: Pick<Manifest['database'], 'owner'>
}

/** Why a backup cannot be restored here, and what to do about it. */
export type RestoreRefusal = {
  kind: 'restore' | 'refused'
  reason: string
  hint: string
  /** What is missing, whole: the reason names only some of it. */
  report?: Record<string, string[]>
}

/**
 * Everything that is known to fail, found before anything is changed.
 *
 * @param options `noTablespaces`: everything will lie in the server's default tablespace, so none is needed; `noOwner`: objects will belong to the session user and nobody is granted anything, so no role is needed; `inPlace`: no database is created
 */
export function findRefusals(
  manifest: Guarded,
  {
    into,
    noOwner,
    noTablespaces,
    inPlace = false,
  }: { into: string; noOwner: boolean; noTablespaces: boolean; inPlace?: boolean },
  target: TargetServer,
): RestoreRefusal[] {
  const refusals: RestoreRefusal[] = []
  const refuse: Refuse = (reason, hint, { kind = 'restore', ...more } = {}) =>
    refusals.push({ kind, reason: visible(reason), hint: visible(hint), ...more })

  if (target.exists) refuse(`the database ${into} already exists`, 'choose another name for --into')
  if (/[\r\n]/.test(into) && majorOf(target.serverVersion) >= 19)
    refuse(
      `the name ${JSON.stringify(into)} has a line break, which PostgreSQL ${majorOf(target.serverVersion)} does not accept`,
      'choose another name for --into',
    )
  if (!inPlace && !target.superuser && !target.mayCreateDatabases)
    refuse(
      `the user ${target.user} may not create databases`,
      `alter role ${sqlName(target.user)} createdb, or connect as another user`,
      { kind: 'refused' },
    )

  const major = majorOf(manifest.server_version_num)
  if (majorOf(target.serverVersion) < major)
    refuse(
      `the backup was made by PostgreSQL ${major}, but this server is ${majorOf(target.serverVersion)}: an older server cannot read it`,
      `restore it to a server of version ${major} or newer`,
    )

  const owners = noOwner ? [] : (manifest.superusers ?? [])
  const missingRoles = noOwner ? [] : neededRoles(manifest).filter((name) => !target.roles.includes(name))
  if (missingRoles.length > 0)
    refuse(
      `${counted(missingRoles.length, 'role')} in this backup ${plural(missingRoles.length, 'does', 'do')} not exist here: ${someOf(missingRoles)}`,
      `create ${plural(missingRoles.length, 'it', 'them')} (${someOf(
        missingRoles.map((name) => `create role ${sqlName(name)}${owners.includes(name) ? ' superuser' : ''}`),
        '; ',
      )}) or pass --create-roles, or pass --no-owner to leave out owners and privileges`,
      { report: { missing_roles: missingRoles } },
    )
  else if (!noOwner && !target.superuser && !target.mayActAsOwner)
    refuse(
      `the user ${target.user} may not act as ${manifest.database.owner}, which owned the database`,
      `grant ${sqlName(manifest.database.owner)} to ${sqlName(target.user)}, connect as a superuser, or pass --no-owner`,
      { kind: 'refused' },
    )

  const powerless = owners.filter((name) => target.roles.includes(name) && !target.superusers.includes(name))
  if (powerless.length > 0)
    refuse(
      `only a superuser may own what ${someOf(powerless)} owned in this backup: event triggers, foreign-data wrappers, publications of all tables or a schema, or, up to PostgreSQL 15, subscriptions`,
      `${someOf(
        powerless.map((name) => `alter role ${sqlName(name)} superuser`),
        '; ',
      )}, or pass --no-owner to leave out owners and privileges`,
    )

  refuseTablespaces(noTablespaces ? [] : (manifest.tablespaces ?? []), target, refuse)

  const missing = manifest.extensions.map(({ name }) => name).filter((name) => !target.extensions.includes(name))
  if (missing.length > 0)
    refuse(
      `this server does not have the ${plural(missing.length, 'extension')} ${someOf(missing)}`,
      'install the packages of these extensions on the server, or pass --into and --skip-extension to leave one out with what needs it',
      { report: { missing_extensions: missing } },
    )
  return refusals
}

type Refuse = (reason: string, hint: string, more?: Partial<RestoreRefusal>) => void

function refuseTablespaces(needed: string[], target: TargetServer, refuse: Refuse): void {
  const without = 'or pass --no-tablespaces to load everything into the default one'
  const missing = needed.filter((name) => !target.tablespaces.includes(name))
  if (missing.length > 0)
    refuse(
      `${counted(missing.length, 'tablespace')} in this backup ${plural(missing.length, 'does', 'do')} not exist here: ${missing.join(', ')}`,
      `create ${plural(missing.length, 'it', 'them')} (${someOf(
        missing.map((name) => `create tablespace ${sqlName(name)} location '…'`),
        '; ',
      )}), ${without}`,
      { report: { missing_tablespaces: missing } },
    )
  const closed = needed.filter((name) => !missing.includes(name) && !target.usableTablespaces.includes(name))
  if (closed.length > 0)
    refuse(
      `the user ${target.user} may not create anything in the ${plural(closed.length, 'tablespace')} ${someOf(closed)}`,
      `${someOf(
        closed.map(
          (name) => `grant create on tablespace ${sqlName(name)} to ${sqlName(target.user)} with grant option`,
        ),
        '; ',
      )}, ${without}`,
      { kind: 'refused' },
    )
}

/** The refusals as one error; undefined if there are none. */
export function refusal(refusals: RestoreRefusal[], { id, into }: { id: string; into: string }): AppError | undefined {
  const [first, ...others] = refusals
  if (!first) return undefined
  if (others.length === 0)
    return new AppError(first.kind, `${first.reason}; nothing was changed`, { hint: first.hint, report: first.report })
  return new AppError(
    refusals.every(({ kind }) => kind === 'refused') ? 'refused' : 'restore',
    `backup ${id} cannot be restored into ${into} for ${refusals.length} reasons; nothing was changed`,
    {
      hint: first.hint,
      report: Object.assign({}, ...refusals.map(({ report }) => report)),
      excerpt: refusals.map(({ reason, hint }) => `  ${reason}\n    ${hint}`).join('\n'),
    },
  )
}

/** Roles in the backup, including the owner of the database. */
export const neededRoles = ({ roles, database }: Pick<Guarded, 'roles' | 'database'>) =>
  [...new Set([database.owner, ...roles])].sort()

const sqlName = (name: string) => visibleSql(quoteIdent(name))

const majorOf = (versionNum: number) => Math.floor(versionNum / 10_000)
