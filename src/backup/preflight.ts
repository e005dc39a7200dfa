// pure
import { quoteIdent } from '../sql/quote.ts'
import { visible, visibleSql } from '../text.ts'
import { counted, someLines } from '../units.ts'

/** What the role of the backup may not read, as found by {@link readAccess}. Names are quoted where SQL requires it. */
export type Access = {
  role: string
  superuser: boolean
  /** 15 for 15.20. */
  major: number
  /** Schemas with tables, on which it lacks USAGE. */
  schemas: string[]
  /** Tables, as `schema.name`, that it may not read. */
  tables: string[]
  sequences: string[]
  /** Tables of which it might see only some rows. */
  rowSecurity: string[]
  /** How many large objects it may not read. */
  largeObjects: number
  /** `user on server`: user mappings whose options it cannot see. */
  userMappings: string[]
  subscriptions: string[]
}

/** Something that prevents the backup, and the statement that fixes it. */
export type Obstacle = { problem: string; statement: string }

/** Finds what would make pg_dump fail, and what it would silently leave out. Pure. */
export function planPreflight(access: Access): { obstacles: Obstacle[]; warnings: string[] } {
  if (access.superuser) return { obstacles: [], warnings: [] }
  const role = quoteIdent(access.role)
  const grant = (what: string, object: string, privilege: string, kind: string): Obstacle => ({
    problem: `${what} ${object} cannot be read`,
    statement: `grant ${privilege} on ${kind} ${object} to ${role};`,
  })
  return {
    obstacles: [
      ...access.schemas.map((name) => grant('schema', name, 'usage', 'schema')),
      ...access.tables.map((name) => grant('table', name, 'select', 'table')),
      ...access.sequences.map((name) => grant('sequence', name, 'select', 'sequence')),
      ...access.rowSecurity.map((name) => ({
        problem: `table ${name} has row-level security, so ${access.role} would not see every row`,
        statement: `alter role ${role} bypassrls;`,
      })),
      ...(access.largeObjects > 0
        ? [
            {
              problem: `${counted(access.largeObjects, 'large object')} cannot be read`,
              statement:
                access.major >= 19
                  ? `grant pg_read_all_data to ${role};`
                  : `alter role ${role} set lo_compat_privileges = on;`,
            },
          ]
        : []),
    ],
    warnings: [
      ...access.userMappings.map(
        (name) => `the user mapping ${name} is backed up without its options, which only a superuser sees`,
      ),
      ...access.subscriptions.map(
        (name) => `the subscription ${name} is not in the backup: only a superuser can dump it`,
      ),
    ],
  }
}

/** The obstacles as lines for a person, with a hint: one statement for all of them, if the server has one. */
export function explainObstacles(obstacles: Obstacle[], { role, major }: Pick<Access, 'role' | 'major'>) {
  const lines = obstacles.map(({ problem, statement }) => visible(`  ${visibleSql(problem)}: ${visibleSql(statement)}`))
  const unreadable = obstacles.some(({ statement }) => statement.startsWith('grant'))
  const hint =
    unreadable && major >= 14
      ? `run as a superuser: grant pg_read_all_data to ${visibleSql(quoteIdent(role))}; it can then read everything, including what is created later`
      : 'run these statements as a superuser, or set backup.url to a role that may read everything'
  return { list: someLines(lines, 20).join('\n'), hint }
}
