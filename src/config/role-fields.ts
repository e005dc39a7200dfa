import * as z from 'zod'
import { secret } from './fields.ts'
import { identifier } from './role-names.ts'

/** Settings by name, as ALTER … SET takes them. */
export const settings = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]))

/** The limit of connections, of a role or of a database. */
export const connectionLimit = z
  .int()
  .min(-1)
  .optional()
  .meta({ description: 'Maximum number of concurrent connections; -1 is unlimited.' })

const membership = z.union(
  [
    identifier,
    z.strictObject({
      role: identifier,
      admin: z.boolean().optional().meta({ description: 'Whether the member may grant the role to others.' }),
      inherit: z.boolean().optional().meta({
        description: 'Whether the member has the privileges of the role without SET ROLE. `false` needs PostgreSQL 16.',
      }),
      set: z
        .boolean()
        .optional()
        .meta({ description: 'Whether the member may SET ROLE to the role. `false` needs PostgreSQL 16.' }),
    }),
  ],
  { error: 'write the name of a role, or { role: NAME, admin: true }' },
)

const memberships = z.array(membership)

const attribute = (name: string, meaning: string) =>
  z
    .boolean()
    .optional()
    .meta({ description: `Whether the role has ${name}: ${meaning}. Left as it is if not set.` })

/** What roles with and without a login have in common. */
export const roleFields = {
  memberOf: memberships.optional().meta({
    description:
      'Roles that this role is a member of: names, or `{ role: NAME, admin: true, inherit: false, set: true }`. What is not written is the default: no ADMIN, but INHERIT and SET.',
  }),
  members: memberships.optional().meta({
    description:
      'Roles that are members of this role, written like `memberOf`. Members that the file does not name are left alone.',
  }),
  connect: z.array(identifier).optional().meta({
    description:
      'Databases that this role may connect to, beside those in which it has privileges. They need not be declared.',
  }),
  connectionLimit,
  createRole: attribute('CREATEROLE', 'it may create roles; up to PostgreSQL 15, that is nearly a superuser'),
  createDb: attribute('CREATEDB', 'it may create databases'),
  replication: attribute('REPLICATION', 'it may copy the whole server'),
  bypassRls: attribute('BYPASSRLS', 'row-level security does not apply to it'),
  inherit: attribute(
    'INHERIT',
    'the default of memberships that others grant from PostgreSQL 16 on; of all its memberships before',
  ),
  config: settings
    .optional()
    .meta({ description: 'Settings of the role (ALTER ROLE … SET). For a setting that takes a list, write a list.' }),
  configIn: z
    .record(identifier, settings)
    .optional()
    .meta({ description: 'Settings of the role in one database, by database.' }),
}

/** What only roles with a login have. */
export const userFields = {
  ...roleFields,
  password: secret.optional().meta({
    description:
      'The password. It is only sent if the server has another one, and as a SCRAM verifier (see `passwords.send`).',
  }),
  actsAs: identifier
    .optional()
    .meta({ description: 'Role that every session of this user starts as (ALTER ROLE … SET role).' }),
  validUntil: z.string().optional().meta({ description: 'When the password expires: a timestamp, or `infinity`.' }),
}

/** How a role is removed from the server. */
export const absence = {
  ensure: z.enum(['absent']).optional().meta({
    description:
      '`absent`: the role is dropped. What it owns, in any database, must be given to `reassignTo`, and its privileges are revoked.',
  }),
  reassignTo: z
    .union([identifier, z.strictObject({ role: identifier, definer: z.boolean().optional() })], {
      error: 'write the name of a role, or { role: NAME, definer: true }',
    })
    .optional()
    .meta({
      description:
        'With `ensure: absent`: the role that gets what the dropped role owns. `{ role: NAME, definer: true }` includes what runs with the rights of its owner.',
    }),
  terminate: z.boolean().optional().meta({
    description: 'With `ensure: absent`: whether open sessions of the role are ended. Otherwise they are exit 12.',
  }),
}
