// pure
import { AppError } from '../errors.ts'
import { quoteIdent } from '../sql/quote.ts'
import { visible, visibleSql } from '../text.ts'
import { counted, someLines } from '../units.ts'
import { type ClusterAction, type DatabaseAction, standsAlone } from './actions.ts'
import type { Division, Theirs } from './capable.ts'
import type { Rights } from './rights.ts'
import { clusterSql, databaseSql } from './statements.ts'

/** One statement for an administrator. `database` null: in any database. `alone`: not in a transaction. `sql` null: to be done by hand. */
export type AdminStatement = {
  database: string | null
  sql: string | null
  reason: string
  alone: boolean
  /** Whether it is here because of what we lack, not only because another statement needs it. */
  direct: boolean
}

/**
 * What an administrator must run, in order, before we can do the rest. It holds no password: roles are created without one, and we get
 * ADMIN on them, so that the next run sets it. Pure.
 */
export function adminStatements({ theirs, lacking }: Division, rights: Rights): AdminStatement[] {
  const isRole = ({ planned: { payload } }: Theirs) => payload.do === 'create role'
  const rest = theirs.filter((item) => !isRole(item))
  return [
    ...theirs.filter(isRole).flatMap((item) => statementsOf(item)),
    ...ownGrants(theirs, lacking, rights),
    ...rest.flatMap((item) => (item.planned.payload.do === 'set password' ? byHand(item, rights) : statementsOf(item))),
  ]
}

function statementsOf({ database, planned, why }: Theirs): AdminStatement[] {
  const { change, payload } = planned
  const sql = database === null ? clusterSql(payload as ClusterAction) : databaseSql(payload as DatabaseAction)
  const reason = `${change.action} ${change.object}: ${change.reason} (${why ?? 'a statement below needs it'})`
  const plain = textsIn(payload).every(isPlain)
  // Only the first statement of CREATE DATABASE cannot share a transaction.
  return sql.map((one, at) => ({
    database,
    sql: plain ? oneLine(one) : one,
    reason,
    alone: standsAlone(planned) && at === 0,
    direct: why !== null,
  }))
}

/** For line breaks of ours. Those in a name must stay, because they would make it another name. */
const oneLine = (sql: string) => sql.replaceAll(/\s*\n\s*/g, ' ')

const isPlain = (text: string) => visible(text) === text && !text.includes('\t')

const textsIn = (value: unknown): string[] =>
  typeof value === 'string' ? [value] : Object.values(value ?? {}).flatMap(textsIn)

/** What we need ourselves to go on afterwards. */
function ownGrants(theirs: Theirs[], lacking: string[], rights: Rights): AdminStatement[] {
  const { user, roles, major } = rights
  const administers = major >= 16 && user.createRole
  const managed = theirs.flatMap(({ planned: { payload } }) =>
    administers &&
    (payload.do === 'create role' || (payload.do === 'set password' && mayGetAdmin(payload.role, rights)))
      ? [payload.role]
      : [],
  )
  return [...new Set([...managed, ...lacking])].map((role) => {
    const acts = lacking.includes(role)
    const already = roles.some(({ name, acts }) => name === role && acts)
    const options = [
      ...(administers ? ['admin true'] : []),
      ...(acts ? ['inherit true', 'set true'] : already ? [] : ['inherit false', 'set false']),
    ]
    return {
      database: null,
      sql: `grant ${quoteIdent(role)} to ${quoteIdent(user.name)}${major >= 16 ? ` with ${options.join(', ')}` : ''}`,
      reason: acts
        ? `${user.name} acts as ${role}, the owner of a database`
        : `${user.name} sets the password of ${role} afterwards`,
      alone: false,
      direct: false,
    }
  })
}

const mayGetAdmin = (role: string, { roles, major, user }: Rights) =>
  major >= 16 && user.createRole && !roles.some(({ name, superuser }) => name === role && superuser)

function byHand({ planned: { payload } }: Theirs, rights: Rights): AdminStatement[] {
  if (payload.do !== 'set password' || mayGetAdmin(payload.role, rights)) return []
  const reason = `the password of ${payload.role} is not in this script: set it to the declared one by hand, with \\password ${quoteIdent(payload.role)}`
  return [{ database: null, sql: null, reason, alone: false, direct: true }]
}

/**
 * The statements as a script for psql, to be run as a superuser. Pure.
 *
 * @param place the database to run it in: `lock.database`
 * @throws {AppError} `refused` for a name with invisible characters: nobody could read what the script does
 */
export function adminScript(statements: AdminStatement[], { user, place }: { user: string; place: string }): string[] {
  if (statements.length === 0)
    return [`-- ${visible(user)} can make all changes that are pending: an administrator has nothing to do.`]
  refuseInvisible([user, place, ...statements.flatMap(({ database, sql, reason }) => [database ?? '', sql ?? reason])])
  const lines = [
    `-- What ${user} needs from an administrator, before pgbosun can go on. Run it with psql as a superuser, in database ${place}.`,
    '-- It holds no password. It was made for the server as it is now: when it stops, make it again.',
    '\\set ON_ERROR_STOP on',
    '',
  ]
  const places = [...new Set(statements.map(({ database }) => database))]
  for (const database of [null, ...places.filter((one) => one !== null)]) {
    const here = statements.filter((one) => one.database === database)
    if (here.length === 0) continue
    if (database !== null) lines.push(connect(database), '')
    lines.push(...inTransactions(here))
  }
  return lines
}

/** Neighbours share a transaction; a statement that must stand alone says so. */
function inTransactions(statements: AdminStatement[]): string[] {
  const lines: string[] = []
  let open = false
  let said = ''
  const turn = (wanted: boolean) => {
    if (open && !wanted) lines.push('commit;', '')
    if (!open && wanted) lines.push('begin;', 'set local search_path = pg_catalog, pg_temp;')
    open = wanted
  }
  for (const { sql, reason, alone } of statements) {
    turn(!alone)
    if (reason !== said) lines.push(`-- ${visible(reason)}${alone ? '; this cannot be in a transaction' : ''}`)
    said = reason
    if (sql !== null) lines.push(`${sql};`)
    if (alone) lines.push('')
  }
  turn(false)
  return lines
}

/** A bare name could be read as a connection string, so it is given as one. Quoted as pg_dump does it. */
const connect = (database: string) => {
  const value = database.replaceAll('\\', '\\\\').replaceAll("'", "\\'")
  return `\\connect -reuse-previous=on ${quoteIdent(`dbname='${value}'`)}`
}

function refuseInvisible(texts: string[]): void {
  const bad = texts.find((text) => !isPlain(text))
  if (bad === undefined) return
  throw new AppError(
    'refused',
    `there is no script for an administrator: it would have characters that nobody can see: ${visible(bad)}`,
    {
      hint: 'give that role, database or object a name without such characters, or let pgbosun connect as a superuser',
    },
  )
}

/** Exit 12, before anything is changed: what an administrator must do. */
export function refuseTheirs(
  statements: AdminStatement[],
  { user, changes }: { user: string; changes: number },
): AppError {
  const lines = statements.map(({ database, sql, reason }) => {
    const where = database === null ? '' : ` -- in database ${database}`
    return visible(`  ${sql === null ? `-- ${reason}` : `${visibleSql(sql)};${where}`}`)
  })
  const first = statements.find(({ direct }) => direct) ?? statements[0]
  return new AppError(
    'refused',
    [`${user} may not change roles and privileges as declared: ${first!.reason}`, ...someLines(lines, 20)].join('\n'),
    {
      hint: `nothing was changed (${counted(changes, 'change')} pending); let an administrator run this: \`pgbosun roles plan --for-admin\` prints it as a script. Then run this again`,
      report: { for_admin: statements.map(({ database, sql, reason }) => ({ database, sql, reason })) },
    },
  )
}
