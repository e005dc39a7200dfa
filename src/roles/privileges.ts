// pure
import type { GrantableKind } from './types.ts'

/** All privileges, by kind of object; `MAINTAIN` exists from PostgreSQL 17 on. */
export const privilegesOf: Record<GrantableKind, readonly string[]> = {
  schema: ['USAGE', 'CREATE'],
  table: ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN'],
  sequence: ['USAGE', 'SELECT', 'UPDATE'],
  routine: ['EXECUTE'],
  type: ['USAGE'],
  language: ['USAGE'],
  'foreign server': ['USAGE'],
  'foreign data wrapper': ['USAGE'],
  'large object': ['SELECT', 'UPDATE'],
}

/** Those of a single column. */
export const columnPrivileges = ['SELECT', 'INSERT', 'UPDATE', 'REFERENCES'] as const

/** Those of a database. */
export const databasePrivileges = ['CREATE', 'CONNECT', 'TEMPORARY'] as const

/** The privileges, with `ALL` written out for a server of this major version. */
export const spelledOut = (kind: GrantableKind, privileges: string[], major: number): readonly string[] =>
  privileges.includes('ALL')
    ? privilegesOf[kind].filter((privilege) => privilege !== 'MAINTAIN' || major >= 17)
    : privileges
