// pure
import { generatedDatabase } from './database.ts'
import { namesOf } from './names.ts'
import { generatedRoles } from './roles.ts'
import type { Found, Generated, Part } from './types.ts'

/**
 * The configuration that says what is there, so that a plan of it is empty. Passwords are the names of variables. Presets are not
 * written: what one means beside what is seen, such as who owns what is created later, cannot be read from a server. Pure.
 */
export function generatedConfig(found: Found): Generated {
  const names = namesOf(found)
  const database = generatedDatabase(found, names)
  const { roles, users, notes } = generatedRoles(found, names, database.referred)
  const config: Part = {
    manage: { privileges: 'declared' },
    databases: { [found.database]: database.part },
    ...(Object.keys(roles).length > 0 && { roles }),
    ...(Object.keys(users).length > 0 && { users }),
  }
  return { config, notes: [...database.notes, ...notes] }
}
