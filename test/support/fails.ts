import { expect } from 'vitest'
import { exitCodes, type Kind } from '../../src/errors.ts'
import { type Finished, run } from './cli.ts'
import { type Sql, server } from './postgres.ts'

type Options = { cwd: string; env?: Record<string, string> }

/** The error of a JSON document, with the rest of the document and what was written to stderr. */
export type Failure = {
  kind: Kind
  message: string
  hint: string
  sqlstate: string | null
  file: string | null
  line: number | null
  column: number | null
  code: number | null
  stderr: string
  json: Record<string, unknown>
}

/** No password is ever shown: those of the tests contain the word `geheim`. */
export function expectNoSecret({ stdout, stderr }: Pick<Finished, 'stdout' | 'stderr'>): void {
  for (const secret of ['geheim', server().password, encodeURIComponent(server().password)])
    expect(stdout + stderr).not.toContain(secret)
}

/**
 * Runs a command that must fail, and checks what all failures have in common: stdout is one JSON document, `ok` is false,
 * its `exit_code` is that of the process and belongs to `kind`; stderr is the error and a hint, and nothing else.
 */
export async function fails(args: string[], options: Options): Promise<Failure> {
  const behind = args.indexOf('--')
  const flags = args.includes('--log-level') ? ['--json'] : ['--json', '--log-level', 'error']
  const all = behind < 0 ? [...args, ...flags] : [...args.slice(0, behind), ...flags, ...args.slice(behind)]
  const { code, stdout, stderr } = await run(all, options)

  expect(stdout, stderr).toMatch(/^\{.*\}\n$/)
  const json = JSON.parse(stdout) as Record<string, unknown> & { error: Omit<Failure, 'code' | 'stderr' | 'json'> }
  expect(json).toMatchObject({ ok: false, exit_code: code, error: { kind: expect.any(String) }, warnings: [] })
  const { error } = json
  expect(Object.keys(error)).toEqual(['kind', 'message', 'hint', 'sqlstate', 'file', 'line', 'column'])
  expect(exitCodes[error.kind]).toBe(code)
  expect(stderr.startsWith(`error: ${error.message}`), stderr).toBe(true)
  expect(stderr.endsWith(`hint:  ${error.hint}\n`), stderr).toBe(true)
  expectNoSecret({ stdout, stderr })
  return { ...error, code, stderr, json }
}

/** Roles and databases whose names contain a part, which should be a unique one. */
export async function clusterNames(sql: Sql, part: string): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select 'role ' || rolname as name from pg_roles where position(${part} in rolname) > 0
    union all select 'database ' || datname from pg_database where position(${part} in datname) > 0 order by 1`
  return rows.map(({ name }) => name)
}

/** Schemas and relations of a database beside those it was created with. */
export async function objectsOf(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select 'schema ' || nspname as name from pg_namespace where nspname !~ '^pg_' and nspname not in ('public', 'information_schema')
    union all select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1`
  return rows.map(({ name }) => name)
}
