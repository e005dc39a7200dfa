// pure
import { usage } from '../errors.ts'
import { yamlWord } from '../text.ts'
import type { DesiredDatabase, DesiredMembership, DesiredRoles } from './types.ts'

/**
 * Orders memberships so that those of a role come before those in that role.
 *
 * @throws {AppError} `usage` with the circle, when they form one
 */
export function inMembershipOrder(memberships: DesiredMembership[]): DesiredMembership[] {
  const ordered: DesiredMembership[] = []
  const visit = (member: string, path: string[]) => {
    if (path.includes(member)) {
      const circle = [...path.slice(path.indexOf(member)), member].join(' → ')
      throw usage(`the memberships form a circle: ${circle}`, { hint: 'remove one of these from its `memberOf`' })
    }
    for (const membership of memberships) {
      if (membership.member !== member || ordered.includes(membership)) continue
      visit(membership.role, [...path, member])
      ordered.push(membership)
    }
  }
  for (const { member } of memberships) visit(member, [])
  return ordered
}

/** @throws {AppError} `usage` for the first name that is referred to but not declared, or that is not allowed in PostgreSQL */
export function validateReferences(desired: DesiredRoles): void {
  const known = new Set(desired.roles.map(({ name }) => name))
  const check = (name: string, where: string) => {
    if (known.has(name) || name === 'PUBLIC' || /^pg_/.test(name)) return
    throw usage(`${where} refers to the role ${name}, which is not declared`, {
      hint: `declare it under \`roles\` or \`users\`; if another tool manages it: roles: { ${yamlWord(name)}: { external: true } }`,
    })
  }
  for (const { role, member } of desired.memberships) check(role, `the role ${member}`)
  for (const database of desired.databases) validateDatabase(database, check)
}

function validateDatabase(database: DesiredDatabase, check: (name: string, where: string) => void): void {
  const path = `databases.${database.name}`
  if (Buffer.byteLength(database.owner) > 63 || /^pg_/i.test(database.owner)) {
    throw usage(`${path}: its owner would be ${database.owner}, which is not a valid name in PostgreSQL`, {
      hint: `set ${path}.owner`,
    })
  }
  const schemas = new Set(['public', ...database.schemas.map(({ name }) => name)])
  for (const name of schemas) {
    if (name === 'pgbosun' || name === 'information_schema' || /^pg_/i.test(name)) {
      throw usage(`${path}.schemas.${name} cannot be declared`, {
        hint: 'that schema belongs to PostgreSQL or to pgbosun',
      })
    }
  }
  for (const { name, owner } of database.schemas) if (owner !== null) check(owner, `${path}.schemas.${name}.owner`)
  if (database.reassign?.from.includes(database.owner)) {
    throw usage(`${path}.reassign contains ${database.owner}, the owner that shall get the objects`, {
      hint: 'list the roles whose objects it shall get',
    })
  }
  for (const { schema, grantee } of database.grants) check(grantee, `${path}.schemas.${schema}`)
  for (const { schema, grantee, creators } of database.defaults) {
    for (const role of [grantee, ...(creators ?? [])]) check(role, `${path}.schemas.${schema}.defaultPrivileges`)
  }
  for (const { name, schema } of database.extensions) {
    if (schema === undefined || schemas.has(schema) || schema === 'pg_catalog') continue
    throw usage(`${path}.extensions.${name}.schema is ${schema}, which is not declared`, {
      hint: `declare it under ${path}.schemas`,
    })
  }
}
