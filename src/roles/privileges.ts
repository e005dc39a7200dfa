// pure
import type { GrantableKind } from './types.ts'

/** All privileges, by kind of object; `MAINTAIN` exists from PostgreSQL 17 on. */
export const privilegesOf: Record<GrantableKind, readonly string[]> = {
  schema: ['USAGE', 'CREATE'],
  table: ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN'],
  sequence: ['USAGE', 'SELECT', 'UPDATE'],
  routine: ['EXECUTE'],
  type: ['USAGE'],
}

/** The privileges, with `ALL` written out for a server of this major version. */
export const spelledOut = (kind: GrantableKind, privileges: string[], major: number): readonly string[] =>
  privileges.includes('ALL')
    ? privilegesOf[kind].filter((privilege) => privilege !== 'MAINTAIN' || major >= 17)
    : privileges
