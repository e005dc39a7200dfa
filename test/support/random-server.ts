import fc from 'fast-check'
import type { Admin } from './admin.ts'

/** Random roles are numbers; a name is made of a prefix and the number. */
export const roles = [0, 1, 2, 3, 4]
export const role = fc.constantFrom(...roles)
/** Pairs whose first is higher, so that no memberships go in a circle. */
export const pairs = fc.uniqueArray(
  fc.tuple(role, role).filter(([member, of]) => member > of),
  { selector: String, maxLength: 5 },
)

/** A server with roles, and perhaps a database, as a person may have left it. */
export const currentState = fc.record({
  /** Who made each role: nobody, a superuser or the login. */
  made: fc.tuple(...roles.map(() => fc.constantFrom('nobody', 'superuser', 'admin'))),
  login: fc.tuple(...roles.map(() => fc.boolean())),
  members: fc.array(fc.tuple(pairs, fc.constantFrom('', ' with admin option')), { maxLength: 1 }),
  database: fc.constantFrom('none', 'superuser', 'admin'),
  schema: fc.boolean(),
  tables: fc.array(role, { maxLength: 3 }),
  grants: fc.array(fc.tuple(role, fc.constantFrom('select', 'insert', 'update')), { maxLength: 4 }),
  defaults: fc.array(fc.tuple(role, role), { maxLength: 2 }),
})

export type Current = typeof currentState extends fc.Arbitrary<infer T> ? T : never

/** The current state, as SQL; what names a role that nobody made is left out. */
export async function make(admin: Admin, current: Current, prefix: string): Promise<void> {
  const name = (index: number) => `"${prefix}_r${index}"`
  const exists = (...indexes: number[]) => indexes.every((index) => current.made[index] !== 'nobody')
  const as = (who: string | undefined, sql: string) =>
    who === 'admin' ? `set role "${admin.name}"; ${sql}; reset role` : sql
  for (const index of roles)
    if (exists(index))
      await admin.ask(
        as(current.made[index], `create role ${name(index)} ${current.login[index] ? 'login' : 'nologin'}`),
      )
  for (const [list, how] of current.members)
    for (const [member, of] of list)
      if (exists(member, of)) await admin.ask(`grant ${name(of)} to ${name(member)}${how}`)
  if (current.database === 'none') return
  await admin.ask(`create database "${prefix}" ${current.database === 'admin' ? `owner "${admin.name}"` : ''}`)
  const inside: string[] = []
  if (current.schema) inside.push(as(current.database, 'create schema app'))
  for (const [i, owner] of current.tables.entries())
    if (exists(owner))
      inside.push(`create table public.t${i} (id serial)`, `alter table public.t${i} owner to ${name(owner)}`)
  for (const [grantee, privilege] of current.grants)
    if (exists(grantee)) inside.push(`grant ${privilege} on all tables in schema public to ${name(grantee)}`)
  for (const [creator, grantee] of current.defaults)
    if (exists(creator, grantee))
      inside.push(
        `alter default privileges for role ${name(creator)} in schema public grant select on tables to ${name(grantee)}`,
      )
  for (const statement of inside) await admin.ask(statement, prefix)
}
