// pure
import { usage } from '../errors.ts'
import { yamlWord } from '../text.ts'
import type { DesiredDatabase, DesiredRoles } from './types.ts'

/** @throws {AppError} `usage` for the first name that is referred to but not declared, or that is not allowed in PostgreSQL */
export function validateReferences(desired: DesiredRoles): void {
  const known = new Set(desired.roles.map(({ name }) => name))
  const check = (name: string, where: string) => {
    const absent = desired.absent.find((one) => one.name === name)
    if (absent)
      throw usage(`${where} refers to the role ${name}, which is declared absent`, {
        hint: `remove one of the two: ${where}, or ${absent.path}`,
      })
    if (known.has(name) || name === 'PUBLIC' || /^pg_/.test(name)) return
    throw usage(`${where} refers to the role ${name}, which is not declared`, {
      hint: `declare it under \`roles\` or \`users\`; if another tool manages it: roles: { ${yamlWord(name)}: { external: true } }`,
    })
  }
  for (const { role, member } of desired.memberships) {
    check(role, `the role ${member}`)
    check(member, `roles.${role}.members`)
    if (role === 'pg_database_owner')
      throw usage(`${member} cannot be a member of pg_database_owner: PostgreSQL allows no members but the owner`, {
        hint: `remove it from memberOf; to have the rights of a database's owner, name that owner`,
      })
  }
  for (const { path, reassignTo } of desired.absent)
    if (reassignTo !== undefined) check(reassignTo, `${path}.reassignTo`)
  for (const database of desired.databases) {
    check(database.owner, `databases.${database.name}.owner`)
    validateDatabase(database, check)
  }
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
  for (const { schema, grantee } of database.grants)
    check(grantee, schema === null ? `${path}.grants` : `${path}.schemas.${schema}`)
  for (const { grantee } of database.access) check(grantee, `${path}.grants`)
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
