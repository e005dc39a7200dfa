import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { runJson } from './cli.ts'
import { test as base, open, server, uniqueName, urlOf, writeFiles } from './postgres.ts'

/** psql of the server's own folder, else the one on the PATH. */
const psql = () => {
  const own = join(server().binDir, 'psql')
  return existsSync(own) ? own : 'psql'
}

/** A login that is no superuser, and what it is used for. */
export type Admin = {
  name: string
  /** A name that no other test uses; roles and databases are named after it. */
  shop: string
  url(database?: string): string
  declare(configuration: object, files?: Record<string, string>): Promise<void>
  /** Runs a command as this login. */
  pgbosun(...args: string[]): ReturnType<typeof runJson>
  /** The changes of the steps, as text; fails unless the command ends with 0. */
  changes(...args: string[]): Promise<string[]>
  /** Gives `roles plan --for-admin` to psql as a superuser, and returns the script. */
  runScript(): Promise<string>
  /** Rows of a superuser's statement. */
  ask(statement: string, database?: string): Promise<Record<string, unknown>[]>
  /** The roles that the login is a member of, with the rights of which it acts. */
  actsAs(): Promise<string[]>
}

/** `admin`: may create roles and databases, and, so that passwords can be compared, read pg_authid. */
export const test = base.extend<{ attributes: string; admin: Admin }>({
  attributes: 'createrole createdb',
  admin: async ({ dir, attributes }, use) => {
    const [name, shop] = [uniqueName('adm'), uniqueName('shop')]
    const sql = open('postgres')
    await sql.unsafe(
      `create role "${name}" login ${attributes} password 'geheim'; grant select on pg_catalog.pg_authid to "${name}"`,
    )
    const url = (database = 'postgres') => urlOf(database, { name, password: 'geheim' })
    const ask: Admin['ask'] = async (statement, database = 'postgres') => {
      const session = open(database)
      try {
        return [...(await session.unsafe(statement))]
      } finally {
        await session.end({ timeout: 1 })
      }
    }
    const pgbosun = (...args: string[]) =>
      runJson(args, { cwd: dir, env: { DATABASE_URL: url(self.shop), SECRET: 'app geheim' } })
    const self: Admin = {
      name,
      shop,
      url,
      ask,
      pgbosun,
      declare: (configuration, files = {}) =>
        writeFiles(dir, { 'pgbosun.yaml': JSON.stringify(configuration), ...files }),
      async changes(...args) {
        const { code, json } = await pgbosun(...args)
        if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${JSON.stringify(json.error)}`)
        const steps = json.steps as { changes: { action: string; object: string; reason: string }[] }[]
        return steps.flatMap(({ changes }) =>
          changes.map(({ action, object, reason }) => `${action} ${object}: ${reason}`.replaceAll(name, 'me')),
        )
      },
      async runScript() {
        const { json, stderr } = await pgbosun('roles', 'plan', '--for-admin')
        const found = json.for_admin as { script: string } | undefined
        if (!found) throw new Error(`no script: ${stderr}`)
        const { all, exitCode } = await execa(psql(), ['-X', '-d', urlOf('postgres')], {
          input: found.script,
          all: true,
          reject: false,
        })
        if (exitCode !== 0) throw new Error(`psql ended with ${exitCode}: ${all}\n${found.script}`)
        return found.script
      },
      actsAs: async () =>
        (
          await ask(
            `select rolname from pg_roles where rolname <> '${name}' and pg_has_role('${name}', oid, 'USAGE') order by 1`,
          )
        ).map(({ rolname }) => rolname as string),
    }
    await use(self)
    await sql.end({ timeout: 1 })
  },
})
