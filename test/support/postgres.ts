import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import postgres from 'postgres'
import { test as base, inject } from 'vitest'

export type Sql = postgres.Sql

/** Coordinates of this worker's server. */
export function server() {
  const servers = inject('servers')
  return servers[(Number(process.env.VITEST_POOL_ID) - 1) % servers.length]!
}

/** URL of a database of the run's server, as the superuser unless a user is named. */
export function urlOf(database: string, user?: { name: string; password: string }): string {
  const url = new URL(server().adminUrl)
  url.pathname = `/${encodeURIComponent(database)}`
  if (user) {
    url.username = encodeURIComponent(user.name)
    url.password = encodeURIComponent(user.password)
  }
  return url.href
}

/** Opens a connection for looking at or breaking things. Close it with `end()`. */
export const open = (database: string, user?: { name: string; password: string }) =>
  postgres(urlOf(database, user), {
    max: 2,
    fetch_types: false,
    onnotice() {},
    no_subscribe: true,
  } as postgres.Options<Record<string, never>>)

async function asAdmin(statement: string): Promise<void> {
  const admin = open('postgres')
  await admin.unsafe(statement)
  await admin.end()
}

/** The setting of `standard_conforming_strings` that a file may make: from 19 on, the server refuses `off`. */
export const otherStrings = () => `set standard_conforming_strings = ${server().major < 19 ? 'off' : 'on'}`

let counter = 0

/** A name that no other test uses: roles and databases are shared by the whole server. */
export const uniqueName = (prefix: string) => `${prefix}_${process.pid}_${Date.now().toString(36)}_${++counter}`

/** Writes files (path to content) below a folder. */
export async function writeFiles(dir: string, files: Record<string, string | Buffer>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true })
    await writeFile(join(dir, path), content)
  }
}

type Fixtures = {
  /** A folder of the test's own. */
  dir: string
  /** Name of a database of the test's own, empty. */
  database: string
  /** A superuser's connection to `database`. */
  sql: Sql
}

/** A database for a whole file of tests, and one session in it. Close it with `end()`. */
export async function openNew(prefix: string, onnotice: (notice: postgres.Notice) => void = () => {}): Promise<Sql> {
  const name = uniqueName(prefix)
  await asAdmin(`create database ${name}`)
  return postgres(urlOf(name), {
    max: 1,
    fetch_types: false,
    onnotice,
    no_subscribe: true,
  } as postgres.Options<Record<string, never>>)
}

/** `test` with a folder, a database and a connection of its own. */
export const test = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  dir: async ({}, use) => {
    const dir = await mkdtemp(join(tmpdir(), 'pgbosun-test-'))
    await use(dir)
    await rm(dir, { recursive: true, force: true })
  },
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  database: async ({}, use) => {
    const name = uniqueName('t')
    const { inMemory, major } = server()
    // in memory copying the files is quickest
    const how = inMemory && major >= 15 ? 'strategy file_copy' : ''
    await asAdmin(`create database ${name} ${how}`)
    await use(name)
    // on ext4 that slows every later file creation down, by a factor of two
    if (inMemory) await asAdmin(`drop database if exists ${name} with (force)`)
  },
  sql: async ({ database }, use) => {
    const sql = open(database)
    await use(sql)
    await sql.end({ timeout: 1 })
  },
})
