import { hostname } from 'node:os'

/** The process that a session belongs to, as it says itself. */
export type Signature = {
  /** Full name of the command: `migrate up`. */
  command: string
  /** Name of its machine; in Kubernetes, of its pod. */
  host: string
  pid: number
}

/**
 * A comment to begin a query with, on a session that holds locks: pg_stat_activity shows it to every user that has our rights. Its
 * application_name only has the id of the run.
 */
export function sign(command: string): string {
  const signature: Signature = { command, host: hostname(), pid: process.pid }
  return `/* pgbosun ${escaped(JSON.stringify(signature))} */ `
}

/** Nothing in it ends the comment or begins another, and every encoding has its characters. */
const escaped = (json: string) =>
  json.replaceAll(/[^\x20-\x7e]|[*]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** The signature in a query, as JSON; null for any other query, which may contain secrets. SQL text. */
export const signatureIn = (query: string) => `pg_catalog.substring(${query}, '^/[*] pgbosun ([{][^*]+[}]) [*]/')`

/** What {@link signatureIn} found. Undefined for something else, which only looked like it. */
export function parseSignature(json: string | null): Signature | undefined {
  try {
    const { command, host, pid } = JSON.parse(json ?? '') as Partial<Signature>
    return typeof command === 'string' && typeof host === 'string' && Number.isSafeInteger(pid)
      ? { command, host, pid: pid as number }
      : undefined
  } catch {
    return undefined
  }
}
