import { AppError } from '../errors.ts'
import type { Change } from '../plan.ts'
import type { Db } from '../postgres/db.ts'
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import { type Hold, noteHold } from './hold.ts'
import { type CurrentState, type StateObject, stateQuery } from './query.ts'
import { type StateTable, type StateTableName, stateTables, stateVersion, tablesFor, upgradeFrom1 } from './tables.ts'

export type { CurrentState } from './query.ts'
export type { StateTable } from './tables.ts'

/** Tables that `state.readers` may read. The audit trail is not one of them. */
const readable: StateTableName[] = ['state', 'migrations', 'seeds']

/** A change, with the SQL that makes it as the session user. */
export type StateChange = Change & { sql: string }

/** Which parts of the state are needed: tables exist only if they are used. */
export type StateNeeds = {
  needs: readonly StateTable[]
  /** Roles that may read it; those that do not exist are skipped. */
  readers: readonly string[]
}

/** Whether everything exists, in this version. Enough if nothing has to be granted to anybody; takes a tenth of {@link readState}. */
export async function hasWholeState(db: Db, needs: readonly StateTable[]): Promise<boolean> {
  const names = tablesFor(needs)
  const [row] = await db.unsafe<{ whole: boolean; owned: boolean }[]>(
    `select pg_catalog.count(*) = ${names.length} as whole, coalesce(pg_catalog.bool_and(c.relowner = r.oid and c.relkind = 'r'), false) as owned
       from pg_catalog.pg_class c cross join pg_catalog.pg_roles r
      where r.rolname = session_user and c.relnamespace = pg_catalog.to_regnamespace('pgbosun')
        and c.relname in (${names.map(quoteLiteral).join(', ')})`,
  )
  if (!row?.whole || !row.owned) return false
  return (await readRow(db)) === stateVersion
}

/**
 * Reads what {@link planState} needs. It checks the catalog first, and reads rows of the tables only if everything on them is ours.
 *
 * @throws {AppError} `refused` for something on the tables that is not ours; `history` if a newer program wrote the state
 */
export async function readState(db: Db, readers: readonly string[]): Promise<CurrentState> {
  const current = await readOwnedState(db, readers)
  const { version } = current
  const owned = version === undefined || version >= 2 ? foreignOwner(current) : undefined
  if (owned) throw owned
  looked.add(db)
  return current
}

/**
 * {@link readState}, whoever owns it: for a database that nobody else may connect to, so that no owner can change it meanwhile.
 * @throws {AppError} `refused` for something on the tables that is not ours; `history` if a newer program wrote the state
 */
export async function readOwnedState(db: Db, readers: readonly string[]): Promise<CurrentState> {
  const [row] = await db.unsafe<{ current: Omit<CurrentState, 'version'> }[]>(stateQuery(readers))
  if (!row) throw new Error('the server did not answer')
  const { current } = row
  const strange = strangeIn(current)
  if (strange) throw strange
  const state = current.tables.find(({ name }) => name === 'state')
  const version = state === undefined ? undefined : await readVersionAs(db, state)
  if (state === undefined) noteHold(db, undefined)
  return { ...current, version }
}

/**
 * What has to change in schema `pgbosun`: the schema, tables, owners and privileges. Nothing if the state is complete. Pure.
 */
export function planState(current: CurrentState, { needs }: Pick<StateNeeds, 'needs'>): StateChange[] {
  return [...planAccess(current), ...planObjects(current, needs), ...planReaders(current, needs)]
}

/** Applies the changes of {@link planState}, all or none. */
export async function applyState(db: Db, changes: StateChange[]): Promise<void> {
  if (changes.length === 0) return
  await db.unsafe(changes.map(({ sql }) => `${sql};`).join('\n'))
}

/**
 * Creates or corrects schema `pgbosun`, in one transaction.
 * @returns what was changed
 * @throws {AppError} `refused`, `history` like {@link readState}
 */
export async function createState(db: Db, { needs, readers }: StateNeeds): Promise<StateChange[]> {
  const changes = planState(await readState(db, readers), { needs })
  await applyState(db, changes)
  return changes
}

/** Sessions that have checked the state. After that, only its owner and superusers can change it. */
const looked = new WeakSet<Db>()

/**
 * Ends a run before it writes into tables with something on them that is not ours, or into the state of a newer program. Checks once for
 * each session.
 * @throws {AppError} `refused`, `history`
 */
export async function refuseStrangeState(db: Db): Promise<void> {
  if (!looked.has(db)) await readState(db, [])
}

/** @throws {AppError} `history` if a newer program wrote it; `refused` if it may not be read */
async function readVersionAs(
  db: Db,
  { mayRead, owner }: Pick<StateObject, 'mayRead' | 'owner'>,
): Promise<number | undefined> {
  if (!mayRead)
    throw new AppError('refused', `the state of pgbosun belongs to ${owner}, but this user may not read it`, {
      hint: `run pgbosun as ${owner}, or change the owner of the state: ${handOver(['state', 'events'], 'NEW_OWNER')}`,
      sqlstate: '42501',
    })
  return readRow(db)
}

/**
 * Its version; also notes the hold. Only for a table whose columns are known to be ours, because to_jsonb may run code for others.
 * @throws {AppError} `history` if a newer program wrote it
 */
async function readRow(db: Db): Promise<number | undefined> {
  const [row] = await db.unsafe<{ version: number; hold: Hold | null }[]>(
    // the state of version 1 has no place for a hold
    `select version, pg_catalog.to_jsonb(s) -> 'hold' as hold from only pgbosun.state s`,
  )
  refuseNewer(row?.version)
  noteHold(db, row?.hold ?? undefined)
  return row?.version
}

/** @throws {AppError} `history` */
function refuseNewer(version: number | undefined): void {
  if (version !== undefined && version > stateVersion)
    throw new AppError(
      'history',
      `a newer pgbosun wrote the state: it has version ${version}, but this pgbosun knows ${stateVersion}`,
      { hint: 'use the newer pgbosun for this database' },
    )
}

/** Exit 12: something on the tables would run with the rights of whoever writes a row. */
function strangeIn({ strange, sessionUser }: Pick<CurrentState, 'strange' | 'sessionUser'>): AppError | undefined {
  const [first, ...more] = strange
  if (!first) return undefined
  const others = more.length === 0 ? '' : ` (and ${more.length} more)`
  return new AppError(
    'refused',
    `${first.what} is not ours${others}: it could do anything that ${sessionUser} may do`,
    {
      hint: `find out who created it; then remove it: ${first.remedy}`,
      ...(more.length > 0 && {
        excerpt: more
          .slice(0, 3)
          .map(({ what }) => `also: ${what}`)
          .join('\n'),
      }),
    },
  )
}

/** Exit 12: somebody else can act as the owner, and so can change the tables at any moment. */
function foreignOwner({ schema, tables, sessionUser }: Omit<CurrentState, 'version'>): AppError | undefined {
  const objects = [...(schema ? [{ ...schema, name: '' }] : []), ...tables]
  const foreign = objects.find(({ lentTo }) => lentTo !== null)
  if (!foreign) return undefined
  const what = foreign.name === '' ? 'schema pgbosun' : `table pgbosun.${foreign.name}`
  const through = foreign.lentTo === foreign.owner ? '' : `, which ${foreign.lentTo} is a member of`
  return new AppError(
    'refused',
    `${what} belongs to ${foreign.owner}${through}: code that the owner puts there would run with the rights of ${sessionUser}`,
    {
      hint: `run pgbosun as ${foreign.owner}, or change the owner of the state: ${handOver(
        tables.map(({ name }) => name),
        sessionUser,
      )}`,
    },
  )
}

export const handOver = (tables: string[], to: string) =>
  [
    `alter schema pgbosun owner to ${quoteIdent(to)}`,
    ...tables.map((name) => `alter table pgbosun.${name} owner to ${quoteIdent(to)}`),
  ].join('; ')

function planObjects(current: CurrentState, needs: readonly StateTable[]): StateChange[] {
  const { schema, tables: present, version, sessionUser } = current
  const changes: StateChange[] = []
  if (!schema)
    changes.push({
      action: 'create',
      object: 'schema pgbosun',
      reason: 'keeps the history',
      sql: `${createSchema(current)}; ${closed('schema')}`,
    })
  const names = present.map(({ name }) => name)
  if (schema && version === 1) {
    const owned = [
      { object: 'schema pgbosun', owner: schema.owner },
      ...present.map(({ name, owner }) => ({ object: `table pgbosun.${name}`, owner })),
    ]
    for (const { object, owner } of owned.filter(({ owner }) => owner !== sessionUser)) {
      const sql = `alter ${object} owner to ${quoteIdent(sessionUser)}`
      changes.push({ action: 'alter', object, reason: `belongs to ${owner} instead of ${sessionUser}`, sql })
    }
    changes.push({
      action: 'alter',
      object: 'schema pgbosun',
      reason: `has version 1 of the state, but this pgbosun writes version ${stateVersion}`,
      sql: upgradeFrom1(names, needs).join(';\n'),
    })
  }
  for (const name of tablesFor(needs)) {
    if (names.includes(name)) continue
    const object = `table pgbosun.${name}`
    const sql = `${stateTables[name].create}; ${closed(`table ${name}`)}`
    changes.push({ action: 'create', object, reason: 'does not exist', sql })
  }
  return changes
}

/**
 * The schema must belong to the session user, not to the owner of the database. If only that owner may create it, CREATE is granted
 * temporarily.
 */
function createSchema({ sessionUser, createThrough }: CurrentState): string {
  if (createThrough === null) return 'create schema pgbosun'
  const asOwner = (work: string) => `set local role ${quoteIdent(createThrough)}; ${work}; set local role none`
  const lend = (what: string) =>
    `do $$ begin execute pg_catalog.format('${what}', pg_catalog.current_database(), ${quoteLiteral(sessionUser)}); end $$`
  return [
    asOwner(lend('grant create on database %I to %I')),
    'create schema pgbosun',
    asOwner(lend('revoke create on database %I from %I')),
  ].join('; ')
}

/** Revokes what default privileges may have granted to others at creation. */
function closed(what: string): string {
  const [kind, table] = what.split(' ')
  const [acl, from, object] =
    table === undefined
      ? ['nspacl', `pg_catalog.pg_namespace where nspname = 'pgbosun'`, 'schema pgbosun']
      : ['relacl', `pg_catalog.pg_class where oid = 'pgbosun.${table}'::regclass`, `table pgbosun.${table}`]
  const owner = kind === 'schema' ? 'nspowner' : 'relowner'
  return `do $$ declare g record; begin
    for g in select distinct case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end as name
               from (select ${acl} as acl, ${owner} as owner from ${from}) o, pg_catalog.aclexplode(o.acl) a where a.grantee <> o.owner loop
      execute 'revoke all on ${object} from ' || g.name;
    end loop; end $$`
}

/** Only the owner may write. Anybody else who may write, or create a trigger, could forge the audit trail. */
function planAccess({ schema, tables }: CurrentState): StateChange[] {
  const revoke = (object: string, grantees: string[]): StateChange[] =>
    grantees.map((grantee) => ({
      action: 'revoke',
      object,
      reason: grantee === 'PUBLIC' ? 'PUBLIC has privileges' : `${grantee} may do more than read`,
      sql: `revoke ${grantee === 'PUBLIC' ? 'all' : object.startsWith('schema') ? 'create' : 'insert, update, delete, truncate, references, trigger'} on ${object} from ${grantee === 'PUBLIC' ? 'public' : quoteIdent(grantee)}`,
    }))
  return [
    ...(schema ? revoke('schema pgbosun', schema.writers) : []),
    ...tables.flatMap(({ name, writers }) => revoke(`table pgbosun.${name}`, writers)),
  ]
}

function planReaders({ readers }: CurrentState, needs: readonly StateTable[]): StateChange[] {
  const wanted = tablesFor(needs).filter((name) => readable.includes(name))
  return readers.flatMap(({ name, usage, tables: seen }) => {
    const lacking = wanted.filter((table) => !seen.includes(table))
    if (usage && lacking.length === 0) return []
    const to = quoteIdent(name)
    const statements = [
      ...(usage ? [] : [`grant usage on schema pgbosun to ${to}`]),
      ...(lacking.length > 0
        ? [`grant select on ${lacking.map((table) => `pgbosun.${table}`).join(', ')} to ${to}`]
        : []),
    ]
    const sql = statements.join('; ')
    return [{ action: 'grant', object: 'schema pgbosun', reason: `${name} may read the history`, sql }]
  })
}
