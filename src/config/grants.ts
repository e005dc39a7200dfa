import * as z from 'zod'
import { identifier } from './role-names.ts'

const to = identifier.meta({ description: 'A role, or PUBLIC.' })

const privileges = z.array(z.string()).min(1).meta({ description: 'SELECT, INSERT, …, or ALL.' })

const ensure = z
  .enum(['absent'])
  .optional()
  .meta({ description: '`absent`: revokes these privileges, whoever granted them, in every `manage.privileges`.' })

const grantOption = z
  .boolean()
  .optional()
  .meta({ description: 'Whether the role may grant these privileges to others.' })

/** A grant on objects in a schema. */
export const grant = z.strictObject({
  to,
  on: z.enum(['table', 'sequence', 'routine', 'schema', 'type']).meta({ description: 'Kind of the objects.' }),
  names: z
    .array(identifier)
    .optional()
    .meta({ description: 'Names of objects in the schema. Default: all of that kind.' }),
  columns: z
    .array(identifier)
    .min(1)
    .optional()
    .meta({ description: 'Only these columns of the tables. For SELECT, INSERT, UPDATE and REFERENCES.' }),
  privileges,
  grantOption,
  ensure,
})

/** A grant on the database itself, or on objects of a database that are in no schema. */
export const databaseGrant = z.strictObject({
  to,
  on: z.enum(['database', 'language', 'foreignServer', 'foreignDataWrapper', 'largeObject']).meta({
    description: 'The database itself, or the kind of the objects.',
  }),
  names: z
    .array(z.union([identifier, z.int().min(1)]))
    .optional()
    .meta({
      description:
        'Names of the objects; numbers of large objects. Default: all of that kind; of languages, all trusted ones.',
    }),
  privileges,
  grantOption,
  ensure,
})

/** A privilege on objects that a role will create. */
export const defaultPrivilege = z.strictObject({
  creator: identifier
    .optional()
    .meta({ description: 'Role that creates the objects. Default: the owner of the schema.' }),
  on: z.enum(['table', 'sequence', 'routine', 'type', 'schema', 'largeObject']).meta({
    description:
      'Kind of the objects. `schema` and `largeObject` (PostgreSQL 18) are in no schema: they need `scope: database`.',
  }),
  scope: z.enum(['schema', 'database']).optional().meta({
    description:
      '`database`: wherever in the database the objects are created. What PostgreSQL gives to PUBLIC by itself (EXECUTE on routines, USAGE on types) can only be made absent there. Default: `schema`.',
  }),
  to,
  privileges,
  ensure,
})
