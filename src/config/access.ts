import * as z from 'zod'
import { databaseGrant, defaultPrivilege, grant } from './grants.ts'
import { databaseMigrate } from './migrate.ts'
import { absence, connectionLimit, roleFields, settings, userFields } from './role-fields.ts'
import { identifier, roleName } from './role-names.ts'

const list = z.array(identifier)

const schemaFields = z
  .strictObject({
    owner: identifier.optional().meta({ description: 'Owner of the schema. Default: the owner of the database.' }),
    creators: list
      .optional()
      .meta({ description: 'Roles that create objects here. Default: the owner of the schema.' }),
    access: z
      .record(identifier, z.enum(['read', 'write', 'use', 'create']))
      .optional()
      .meta({
        description:
          'Access level of each role, for existing and future objects. `read`: read tables and sequences; `write`: also change rows and call routines; `use`: only USAGE on the schema; `create`: USAGE and CREATE on the schema.',
      }),
    grants: z.array(grant).optional().meta({ description: 'Privileges on objects in this schema.' }),
    defaultPrivileges: z
      .array(defaultPrivilege)
      .optional()
      .meta({ description: 'Privileges on objects that will be created in this schema.' }),
  })
  .nullable()

const extensionFields = z
  .strictObject({
    schema: identifier.optional().meta({ description: 'Schema to install the extension in.' }),
    version: z
      .string()
      .optional()
      .meta({ description: 'Version that the extension must have. Default: any installed version is accepted.' }),
    ensure: z.enum(['absent']).optional().meta({
      description:
        '`absent`: the extension is dropped after the migrations, unless something that is not part of it needs it.',
    }),
  })
  .nullable()

const databaseUser = z.strictObject({
  preset: z.enum(['app', 'owner', 'rw', 'readonly']).optional().meta({
    description:
      '`app`: an application that reads, writes and creates objects in this database as its owner. `owner`: a person or a tool that does the same, beside the application. `rw`: reads and changes rows and calls routines in the declared schemas, or in `public` if none is declared; creates nothing. `readonly`: reads these schemas; its sessions are read-only, with time limits of 5 minutes that `config` can change.',
  }),
  ...userFields,
})

const serverUser = z.strictObject({
  preset: z.enum(['backup', 'monitor', 'replication']).optional().meta({
    description:
      '`backup`: reads everything, in read-only sessions, so that pg_dump works with it; whoever has its password can read all data. `monitor`: what a metrics exporter needs (pg_monitor), with at most 5 connections and 10 s for a statement. Both can connect to all declared databases. `replication`: for standbys and pg_basebackup, with at most 5 connections; whoever has its password can copy the whole server.',
  }),
  ...userFields,
  ...absence,
})

const databaseFields = z
  .strictObject({
    owner: roleName.optional().meta({
      description:
        'Owner of the database and of its schema `public`. Default: NAME_owner; an existing database without an `app` user keeps its owner.',
    }),
    create: z
      .strictObject({
        encoding: z.string().optional().meta({ description: 'Character set encoding, like `UTF8`.' }),
        locale: z.string().optional().meta({ description: 'Locale, like `C.UTF-8`.' }),
        template: identifier.optional().meta({ description: 'Database to copy.' }),
        owner: roleName.optional().meta({
          description:
            'Owner of a database that is created, instead of `owner`. An existing database keeps its own, and this role gets all privileges on it.',
        }),
        localeProvider: z.enum(['libc', 'icu', 'builtin']).optional().meta({
          description: 'What compares texts: `icu` needs PostgreSQL 15, `builtin` 17.',
        }),
        icuLocale: z.string().optional().meta({ description: 'Locale of ICU, like `de-DE`.' }),
      })
      .optional()
      .meta({
        description: 'Used only when the database is created. A later difference is reported, but never fixed.',
      }),
    connectionLimit,
    config: settings.optional().meta({ description: 'Settings of the database (ALTER DATABASE … SET).' }),
    extensions: z.record(identifier, extensionFields).optional(),
    schemas: z.record(identifier, schemaFields).optional(),
    users: z.record(roleName, databaseUser).optional(),
    grants: z
      .array(databaseGrant)
      .optional()
      .meta({ description: 'Privileges on the database itself, and on objects that are in no schema.' }),
    reassign: z
      .union([
        z.array(identifier),
        z.strictObject({
          from: z.array(identifier).min(1),
          definer: z.boolean().prefault(false).meta({
            description:
              'Also reassign what runs with the rights of its owner: SECURITY DEFINER routines, and views of objects that are not reassigned.',
          }),
        }),
      ])
      .optional()
      .meta({
        description:
          'Roles whose objects in this database are reassigned to its owner, one by one, for example those of an application that had its tables before it got a preset. `{ from: [ROLE], definer: true }` includes what runs with the rights of its owner.',
      }),
    schemaCreate: z.enum(['revoke']).optional().meta({
      description:
        '`revoke`: revokes CREATE on `public` and on the declared schemas from PUBLIC, also in a database that already existed.',
    }),
    public: z
      .strictObject({
        connect: z.enum(['grant', 'revoke']).optional().meta({ description: 'Whether every role may connect.' }),
        temporary: z
          .enum(['grant', 'revoke'])
          .optional()
          .meta({ description: 'Whether every role may create temporary tables.' }),
      })
      .optional()
      .meta({
        description:
          'What PUBLIC has on the database, also in one that already existed. Default: nothing in databases that pgbosun creates; in others it is left as it is.',
      }),
    migrate: databaseMigrate.optional().meta({ description: 'Migrations of this database, with their own history.' }),
  })
  .nullable()

/** The keys for databases, roles and users, and for how they are managed. */
export const accessKeys = {
  databases: z.record(identifier, databaseFields).prefault({}).meta({ description: 'Databases, by name.' }),
  roles: z
    .record(roleName, z.strictObject({ ...roleFields, ...absence, external: z.boolean().optional() }).nullable())
    .prefault({})
    .meta({ description: 'Roles that cannot log in, by name. An `external` role is only referred to, never changed.' }),
  users: z.record(roleName, serverUser).prefault({}).meta({ description: 'Roles that can log in, by name.' }),
  manage: z
    .strictObject({
      privileges: z.enum(['additive', 'declared', 'strict']).prefault('declared').meta({
        description:
          '`declared`: roles named in this file have exactly the declared privileges in the declared schemas. `additive`: they have at least those. `strict`: nobody else has any there.',
      }),
      strictAccept: z.array(identifier).prefault([]).meta({
        description:
          'With `strict`: who may lose privileges without being named elsewhere in this file. When somebody else would, that is exit 30, and nothing is changed. `PUBLIC` may be one.',
      }),
    })
    .prefault({}),
  passwords: z
    .strictObject({
      send: z.enum(['verifier', 'plaintext']).prefault('verifier').meta({
        description:
          '`verifier`: passwords are sent as SCRAM verifiers, which pgbosun computes. `plaintext`: as they are, for providers that refuse verifiers; the server sees them, and may log them.',
      }),
      applyOnRotation: z.enum(['own', 'never']).prefault('own').meta({
        description:
          '`own`: `serve` sets a rotated password of the role that it makes backups as, and only after the server has rejected it; all other rotated passwords wait for `up`. `never`: all of them wait for `up`.',
      }),
    })
    .prefault({}),
}
