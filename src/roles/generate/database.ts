// pure
import { counted } from '../../units.ts'
import type { AclEntry, CurrentDatabaseEntry, CurrentObject } from '../types.ts'
import { grantsOn, restOf } from './grants.ts'
import { filled } from './roles.ts'
import { defaultsOf, generatedSchema } from './schemas.ts'
import { settingsOf } from './settings.ts'
import type { Found, Names, Note, Part } from './types.ts'

/** The database, with its schemas, extensions and privileges; `referred`: the roles that it names. Pure. */
export function generatedDatabase(found: Found, names: Names): { part: Part; notes: Note[]; referred: Set<string> } {
  const { inside, cluster } = found
  const entry = cluster.databases.find(({ name }) => name === found.database)!
  const path = ['databases', found.database]
  const nameable = (name: string) => !names.unnamed.has(name)
  const schemas = schemasOf(found, names, entry.owner, path)
  const wide = grantsOn(
    restOf(
      inside.objects.filter(({ schema }) => schema === null),
      nameable,
    ),
    [],
  )
  const entries = [...schemas.entries, ...wide]
  const connecting = new Set(entries.filter(({ absent }) => !absent).map(({ grantee }) => grantee))
  const access = accessOf(entry, connecting, nameable)
  const config = settingsOf(
    path,
    cluster.settings.filter(({ role, database }) => role === null && database === found.database),
  )
  const part = filled({
    owner: nameable(entry.owner) && !entry.owner.startsWith('pg_') ? entry.owner : undefined,
    create: createOf(entry),
    connectionLimit: entry.connectionLimit < 0 ? undefined : entry.connectionLimit,
    config: config.part,
    extensions: extensionsOf(found, Object.keys(schemas.part)),
    public: publicOf(entry),
    grants: [...access, ...wide.map((one) => one.part)],
  })
  return {
    // no schema at all would mean `public`
    part: { ...part, schemas: schemas.part },
    notes: [
      ...(nameable(entry.owner)
        ? []
        : [lost(path, `left out: its owner ${entry.owner}, a name that the file cannot have`)]),
      ...config.notes,
      ...schemas.notes,
      ...connectNotes(path, access),
      ...(found.largeObjects > 0
        ? [lost(path, `left out: the privileges of ${counted(found.largeObjects, 'large object')}`)]
        : []),
    ],
    referred: new Set([entry.owner, ...schemas.referred, ...connecting, ...access.map(({ to }) => to as string)]),
  }
}

const lost = (path: string[], text: string): Note => ({ path, text, lost: true })

function schemasOf(found: Found, names: Names, databaseOwner: string, path: string[]) {
  const { inside } = found
  const objects = Map.groupBy(
    inside.objects.filter(({ schema }) => schema !== null),
    ({ schema }) => schema!,
  )
  const part: Record<string, Part> = {}
  const notes: Note[] = []
  const all = inside.schemas
    .filter(({ name }) => !found.extensionSchemas.includes(name) && name !== 'pgbosun')
    .map(({ name, owner }) => ({ name, owner: owner === 'pg_database_owner' ? databaseOwner : owner }))
  const sayable = all.filter(({ name, owner }) => {
    const why = whyNot(name, owner, names)
    if (why !== undefined) notes.push(lost([...path, 'schemas'], `left out: the schema ${name}, ${why}`))
    return why === undefined
  })
  const made = sayable.map((schema) => {
    const one = generatedSchema({ ...schema, databaseOwner }, objects.get(schema.name) ?? [], found, names)
    part[schema.name] = one.part
    const open = one.entries.filter((entry) => entry.open)
    for (const { grantee, part: grant } of open)
      notes.push({
        path: [...path, 'schemas', schema.name],
        text: `the grant on all ${String(grant.on)}s for ${grantee} also means those that are created later`,
        lost: true,
      })
    notes.push(...unsayable(objects.get(schema.name) ?? [], [...path, 'schemas', schema.name]))
    return one
  })
  addWideDefaults(found, names, part)
  return {
    part,
    notes,
    entries: made.flatMap(({ entries }) => entries),
    referred: [
      ...made.flatMap(({ referred }) => referred),
      ...wideRows(found, names).flatMap(({ creator, grantee }) => [creator, grantee]),
    ],
  }
}

function whyNot(name: string, owner: string, { unnamed }: Names): string | undefined {
  if (/^pg_/i.test(name) || name === '__proto__') return 'a name that the file cannot have'
  return unnamed.has(owner) ? `whose owner is ${owner}, a name that the file cannot have` : undefined
}

const unsayable = (objects: CurrentObject[], path: string[]): Note[] =>
  objects
    .filter(({ kind, name, acl }) => name === '*' && kind !== 'routine' && kind !== 'schema' && acl.length > 0)
    .map(({ kind, name }) =>
      lost(path, `left out: the privileges on the ${kind} ${name}, a name that means all in the file`),
    )

const wideRows = ({ inside }: Found, { unnamed }: Names) =>
  inside.defaults.filter(
    ({ schema, creator, grantee }) => schema === null && !unnamed.has(creator) && !unnamed.has(grantee),
  )

/** Default privileges for the whole database are written in the first schema: which one does not matter. */
function addWideDefaults(found: Found, names: Names, part: Record<string, Part>): void {
  const [first] = Object.keys(part)
  if (first === undefined) return
  const { changedDefaults } = found.inside
  const given = [...defaultsOf(wideRows(found, names)).values()].flatMap(({ creator, kind, grantee, privileges }) => {
    const some = [...privileges].filter((one) => !(grantee === 'PUBLIC' && one === builtIn[kind])).sort()
    return some.length === 0 ? [] : [{ creator, on: wordOf(kind), scope: 'database', to: grantee, privileges: some }]
  })
  const taken = changedDefaults.flatMap(({ creator, kind }) => {
    const privilege = builtIn[kind]
    const held = found.inside.defaults.some(
      (row) => row.schema === null && row.creator === creator && row.kind === kind && row.grantee === 'PUBLIC',
    )
    if (privilege === undefined || held || names.unnamed.has(creator)) return []
    return [{ creator, on: kind, scope: 'database', to: 'PUBLIC', privileges: [privilege], ensure: 'absent' }]
  })
  if (given.length + taken.length === 0) return
  const schema = part[first]!
  part[first] = { ...schema, defaultPrivileges: [...((schema.defaultPrivileges as Part[]) ?? []), ...given, ...taken] }
}

/** What PUBLIC gets on new objects, unless the creator has other default privileges. */
const builtIn: Record<string, string | undefined> = { routine: 'EXECUTE', type: 'USAGE' }

const wordOf = (kind: string) => (kind === 'large object' ? 'largeObject' : kind)

const createOf = ({ encoding, collate, localeProvider, icuLocale }: CurrentDatabaseEntry): Part =>
  localeProvider === 'builtin'
    ? { encoding, localeProvider, locale: icuLocale ?? collate }
    : {
        encoding,
        locale: collate,
        ...(localeProvider === 'icu' && { localeProvider, icuLocale: icuLocale ?? undefined }),
      }

/** Those that every database has are left out. */
function extensionsOf({ inside }: Found, schemas: string[]): Part {
  const own = inside.extensions.filter(({ name }) => name !== 'plpgsql')
  return Object.fromEntries(
    own.map(({ name, schema }) => [name, schema !== 'public' && schemas.includes(schema) ? { schema } : {}]),
  )
}

const holds = (acl: AclEntry[], grantee: string, privilege: string) =>
  acl.some((one) => one.grantee === grantee && one.privilege === privilege)

function publicOf({ acl }: CurrentDatabaseEntry): Part {
  const say = (privilege: string) => (holds(acl, 'PUBLIC', privilege) ? 'grant' : 'revoke')
  return { connect: say('CONNECT'), temporary: say('TEMPORARY') }
}

/**
 * Privileges on the database itself. Whoever has privileges inside gets CONNECT by itself, so that has to be said where somebody has no
 * CONNECT of their own.
 */
function accessOf(
  { acl, owner }: CurrentDatabaseEntry,
  connecting: Set<string>,
  nameable: (name: string) => boolean,
): Part[] {
  const byGrantee = Map.groupBy(
    acl.filter(({ grantee }) => nameable(grantee)),
    ({ grantee }) => grantee,
  )
  const granted = [...byGrantee].flatMap(([grantee, rows]) =>
    [false, true].flatMap((option): Part[] => {
      const privileges = [...new Set(rows.map(({ privilege }) => privilege))]
        .filter((privilege) => rows.some((row) => row.privilege === privilege && row.grantable) === option)
        .filter((privilege) => option || privilege !== 'CONNECT' || !connecting.has(grantee))
        .filter((privilege) => grantee !== 'PUBLIC' || privilege === 'CREATE')
        .sort()
      return privileges.length === 0
        ? []
        : [{ to: grantee, on: 'database', privileges, ...(option && { grantOption: true }) }]
    }),
  )
  const without = [...connecting]
    .filter((grantee) => grantee !== 'PUBLIC' && grantee !== owner && !holds(acl, grantee, 'CONNECT'))
    .sort()
    .map((grantee) => ({ to: grantee, on: 'database', privileges: ['CONNECT'], ensure: 'absent' }))
  return [...granted, ...without]
}

const connectNotes = (path: string[], access: Part[]): Note[] =>
  access.some(({ ensure }) => ensure === 'absent')
    ? [
        {
          path: [...path, 'grants'],
          text: 'roles without a CONNECT of their own connect only where PUBLIC may: remove a line with absent to grant it to that role',
          lost: false,
        },
      ]
    : []
