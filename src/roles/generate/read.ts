import type { Db } from '../../postgres/db.ts'
import { readCatalog, readDatabase } from '../current.ts'
import type { DesiredRoles, WideKind } from '../types.ts'
import type { Found } from './types.ts'

/** Reads what a configuration is generated from, in the database of the session. Only reads; verifiers are not read. Four round trips. */
export async function readFound(db: Db, database: string): Promise<Found> {
  const [row] = await db.unsafe<{ names: Named }[]>(namesQuery)
  const { roles, schemas, extensionSchemas, largeObjects } = row!.names
  const everything = askingFor(database, roles, schemas)
  const { mayReadVerifiers, ...cluster } = await readCatalog(db, everything)
  return {
    database,
    cluster,
    inside: await readDatabase(db, everything, database),
    passwords: mayReadVerifiers ? await readPasswords(db) : undefined,
    extensionSchemas,
    largeObjects,
  }
}

type Named = { roles: string[]; schemas: string[]; extensionSchemas: string[]; largeObjects: number }

const namesQuery = `select pg_catalog.json_build_object(
  'roles', (select pg_catalog.json_agg(rolname order by rolname) from pg_catalog.pg_roles),
  'schemas', coalesce((select pg_catalog.json_agg(nspname order by nspname) from pg_catalog.pg_namespace
     where nspname !~ '^pg_' and nspname <> 'information_schema'), '[]'),
  'extensionSchemas', coalesce((select pg_catalog.json_agg(n.nspname order by n.nspname) from pg_catalog.pg_namespace n
     join pg_catalog.pg_depend x on x.classid = 'pg_catalog.pg_namespace'::regclass and x.objid = n.oid and x.deptype = 'e'), '[]'),
  'largeObjects', (select pg_catalog.count(*)::int from pg_catalog.pg_largeobject_metadata where lomacl is not null)
) as names`

/** Only whether there is one. */
async function readPasswords(db: Db): Promise<Set<string>> {
  const rows = await db.unsafe<{ role: string }[]>(
    'select rolname as role from pg_catalog.pg_authid where rolpassword is not null order by 1',
  )
  return new Set(rows.map(({ role }) => role))
}

const wideKinds: WideKind[] = ['language', 'foreign server', 'foreign data wrapper']

/** A declaration about everything, to read everything. */
function askingFor(name: string, roles: string[], schemas: string[]): DesiredRoles {
  return {
    mode: 'strict',
    strictAccept: [],
    roles: roles.map((role) => ({ name: role, kind: 'external', inherits: false })),
    memberships: [],
    settings: [],
    databases: [
      {
        name,
        owner: '',
        apps: [],
        presets: [],
        closed: false,
        ownerFixed: false,
        create: {},
        access: [],
        schemas: [],
        extensions: [],
        covered: schemas,
        grants: wideKinds.map((kind) => ({ schema: null, kind, names: null, grantee: 'PUBLIC', privileges: [] })),
        defaults: [{ schema: '', wide: true, kind: 'table', grantee: 'PUBLIC', privileges: [], creators: [] }],
      },
    ],
    absent: [],
    readAll: [],
    connects: [],
  }
}
