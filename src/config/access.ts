import * as z from 'zod'
import { secret } from './fields.ts'
import { databaseMigrate } from './migrate.ts'

const maxBytes = 63

/** A name as PostgreSQL stores it: 1 to 63 bytes; longer ones would be cut silently. */
const identifier = z
  .string()
  .min(1, 'a name is needed')
  .refine((name) => Buffer.byteLength(name) <= maxBytes, {
    error: ({ input }) =>
      `the name has ${Buffer.byteLength(String(input))} bytes; PostgreSQL cuts names at ${maxBytes}`,
  })
  .refine((name) => !name.includes('\0'), 'a name cannot contain a zero byte')

/** A role that we may create or change. */
const roleName = identifier.refine((name) => !/^pg_/i.test(name) && !['public', 'none'].includes(name.toLowerCase()), {
  error: ({ input }) => `the name ${String(input)} is reserved by PostgreSQL`,
})

const list = z.array(identifier)

const settings = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]))

const connectionLimit = z.int().min(-1).optional().meta({ description: 'Connections at once; -1 is unlimited.' })

const roleFields = {
  memberOf: list.optional().meta({ description: 'Roles this one is a member of.' }),
  connectionLimit,
  config: settings.optional().meta({ description: 'Settings of the role (ALTER ROLE … SET). A list stays a list.' }),
  configIn: z.record(identifier, settings).optional().meta({ description: 'Settings of the role in one database.' }),
}

const userFields = {
  ...roleFields,
  password: secret
    .optional()
    .meta({ description: 'The password. Sent as a SCRAM verifier, and only when it differs.' }),
  actsAs: identifier
    .optional()
    .meta({ description: 'Role that every session of this user starts as (ALTER ROLE … SET role).' }),
  validUntil: z.string().optional().meta({ description: 'Instant at which the password expires, or `infinity`.' }),
}

const grant = z.strictObject({
  to: identifier.meta({ description: 'A role, or PUBLIC.' }),
  on: z.enum(['table', 'sequence', 'routine', 'schema', 'type']),
  names: list.optional().meta({ description: 'Names in the schema; without them, all of that kind.' }),
  privileges: z.array(z.string()).min(1).meta({ description: 'SELECT, INSERT, …, or ALL.' }),
})

const defaultPrivilege = z.strictObject({
  creator: identifier
    .optional()
    .meta({ description: 'Role whose new objects this is about. Default: the owner of the schema.' }),
  on: z.enum(['table', 'sequence', 'routine', 'type']),
  to: identifier,
  privileges: z.array(z.string()).min(1),
})

const schemaFields = z
  .strictObject({
    owner: identifier.optional().meta({ description: 'Default: the owner of the database.' }),
    creators: list
      .optional()
      .meta({ description: 'Roles that create objects here. Default: the owner of the schema.' }),
    access: z
      .record(identifier, z.enum(['read', 'write', 'use', 'create']))
      .optional()
      .meta({
        description:
          'Role to level, for existing and for future objects. `read`: see tables and sequences; `write`: also change rows and call routines; `use`: only enter the schema; `create`: make objects in it.',
      }),
    grants: z.array(grant).optional(),
    defaultPrivileges: z.array(defaultPrivilege).optional(),
  })
  .nullable()

const extensionFields = z
  .strictObject({
    schema: identifier.optional(),
    version: z.string().optional().meta({ description: 'The version to be at; without it, whatever is installed.' }),
  })
  .nullable()

const databaseUser = z.strictObject({
  preset: z.enum(['app', 'readonly']).optional().meta({
    description:
      '`app`: reads, writes and creates in this database as its owner. `readonly`: reads the declared schemas, else `public`; its sessions are read-only, with time limits of 5 minutes that `config` may change.',
  }),
  ...userFields,
})

const serverUser = z.strictObject({
  preset: z.enum(['backup', 'monitor']).optional().meta({
    description:
      '`backup`: reads everything, in read-only sessions, so that pg_dump works with it; its password is worth as much as all others. `monitor`: what a metrics exporter needs (pg_monitor), at most 5 connections, statements of at most 10 s. Both connect to all declared databases.',
  }),
  ...userFields,
})

const databaseFields = z
  .strictObject({
    owner: roleName.optional().meta({
      description:
        'Owner of the database and of its schema public. Default: NAME_owner; an existing database without an `app` user keeps its owner.',
    }),
    create: z
      .strictObject({ encoding: z.string().optional(), locale: z.string().optional(), template: identifier.optional() })
      .optional()
      .meta({ description: 'Used only when the database is created; a difference later is reported, never mended.' }),
    connectionLimit,
    config: settings.optional().meta({ description: 'Settings of the database (ALTER DATABASE … SET).' }),
    extensions: z.record(identifier, extensionFields).optional(),
    schemas: z.record(identifier, schemaFields).optional(),
    users: z.record(roleName, databaseUser).optional(),
    reassign: z
      .union([
        z.array(identifier),
        z.strictObject({
          from: z.array(identifier).min(1),
          definer: z.boolean().prefault(false).meta({
            description:
              'Also what runs with the rights of its owner: SECURITY DEFINER routines, and views of what does not change hands.',
          }),
        }),
      ])
      .optional()
      .meta({
        description:
          'Roles whose objects in this database are handed to its owner, one by one: an application that had its tables before it got a preset. `{ from: [ROLE], definer: true }` includes what runs with the rights of its owner.',
      }),
    schemaCreate: z.enum(['revoke']).optional().meta({
      description:
        "`revoke`: takes PUBLIC's CREATE on `public` and on the declared schemas away, also in a database that existed before.",
    }),
    migrate: databaseMigrate
      .optional()
      .meta({ description: 'Migrations of this database, with a history of its own.' }),
  })
  .nullable()

/** The keys that say who may do what: databases, roles, users, and how they are managed. */
export const accessKeys = {
  databases: z.record(identifier, databaseFields).prefault({}).meta({ description: 'Databases, by name.' }),
  roles: z
    .record(roleName, z.strictObject({ ...roleFields, external: z.boolean().optional() }).nullable())
    .prefault({})
    .meta({ description: 'Roles that do not log in, by name. An `external` one is only referred to, never changed.' }),
  users: z.record(roleName, serverUser).prefault({}).meta({ description: 'Roles that log in, by name.' }),
  manage: z
    .strictObject({
      privileges: z.enum(['additive', 'declared']).prefault('declared').meta({
        description:
          '`declared`: roles named here have exactly the declared privileges in declared schemas. `additive`: at least those.',
      }),
    })
    .prefault({}),
  passwords: z
    .strictObject({
      send: z
        .enum(['verifier'])
        .prefault('verifier')
        .meta({ description: 'Passwords are sent as SCRAM verifiers made here.' }),
      applyOnRotation: z.enum(['own', 'never']).prefault('own').meta({
        description:
          '`own`: `serve` sets a rotated password of the role that it makes backups as, and only after the server refused it; all others wait for `up`. `never`: all wait.',
      }),
    })
    .prefault({}),
}
