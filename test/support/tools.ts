import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FormatName } from '../../src/formats/types.ts'
import { writeFiles } from './postgres.ts'

/** What a run of a tool printed, both outputs together, and its exit code. */
export type ToolRun = { code: number; output: string }

/** A migration tool that runs here, driven the same way whichever it is. */
export type Tool = {
  format: Extract<FormatName, 'dbmate' | 'node-pg-migrate' | 'graphile-migrate'>
  /** Runs it with arguments of its own. The migrations are in `migrations` of `cwd`. */
  run(args: string[], where: { cwd: string; url: string }): Promise<ToolRun>
  /** Arguments that apply what is pending. */
  up: string[]
  /** What it says when nothing is. */
  nothing: RegExp
  /** Writes migrations with this SQL, numbered from 1, in place of those that are there. `down` is left out where it has none. */
  write(cwd: string, migrations: { up: string; down: string }[]): Promise<void>
}

const source = join(import.meta.dirname, '..', 'tools')

/**
 * The real tools, installed once per machine with npm. Undefined where npm cannot get them, which is said loudly:
 * tests that need them are skipped then.
 */
export async function installTools(): Promise<Tool[] | undefined> {
  try {
    const bin = join(await install(), 'node_modules')
    return [dbmate(bin), nodePgMigrate(bin), graphileMigrate(bin)]
  } catch (error) {
    process.stderr.write(
      `NOT RUN: tests with the real migration tools: npm could not install test/tools: ${reason(error)}\n`,
    )
    return undefined
  }
}

const reason = (error: unknown) => (error instanceof Error ? error.message.trim().split('\n')[0] : String(error))

/** The folder is made elsewhere and renamed: several tests may install at once, and one that is killed leaves nothing half done. */
async function install(): Promise<string> {
  const lock = readFileSync(join(source, 'package-lock.json'))
  const cache = join(tmpdir(), `pgbosun-tools-${process.getuid?.() ?? ''}`)
  const target = join(cache, createHash('sha256').update(lock).digest('hex').slice(0, 16))
  if (!existsSync(target)) {
    mkdirSync(cache, { recursive: true, mode: 0o700 })
    const dir = mkdtempSync(join(cache, 'installing-'))
    for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(source, file), join(dir, file))
    const { code, output } = await finished('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: dir })
    try {
      if (code !== 0) throw new Error(output)
      renameSync(dir, target)
    } catch (error) {
      rmSync(dir, { recursive: true, force: true })
      if (!existsSync(target)) throw error // else another was faster
    }
  }
  if (statSync(target).uid !== process.getuid?.()) throw new Error(`${target} belongs to somebody else`)
  return target
}

/** Nothing of the developer's own environment reaches a tool. */
function finished(
  program: string,
  args: string[],
  { cwd, env }: { cwd: string; env?: Record<string, string> },
): Promise<ToolRun> {
  const environment = env ? { PATH: process.env.PATH, ...env } : process.env
  return new Promise((resolve, reject) => {
    execFile(program, args, { cwd, env: environment, timeout: 120_000 }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error)
      else resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr })
    })
  })
}

const node = (script: string, args: string[], cwd: string, env: Record<string, string>) =>
  finished(process.execPath, [script, ...args], { cwd, env })

const padded = (i: number, digits: number) => String(i + 1).padStart(digits, '0')

async function replace(folder: string, files: Record<string, string>): Promise<void> {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  await writeFiles(folder, files)
}

const dbmate = (bin: string): Tool => ({
  format: 'dbmate',
  run: (args, { cwd, url }) =>
    node(join(bin, 'dbmate/dist/cli.js'), ['--migrations-dir', 'migrations', '--no-dump-schema', ...args], cwd, {
      DATABASE_URL: `${url}?sslmode=disable`,
    }),
  up: ['up'],
  nothing: /^$/,
  write: (cwd, migrations) =>
    replace(
      join(cwd, 'migrations'),
      Object.fromEntries(
        migrations.map(({ up, down }, i) => [
          `${padded(i, 3)}_part.sql`,
          `-- migrate:up\n${up}\n\n-- migrate:down\n${down}\n`,
        ]),
      ),
    ),
})

const nodePgMigrate = (bin: string): Tool => ({
  format: 'node-pg-migrate',
  run: (args, { cwd, url }) =>
    node(join(bin, 'node-pg-migrate/bin/node-pg-migrate.js'), args, cwd, { DATABASE_URL: url }),
  up: ['up'],
  nothing: /No migrations to run!/,
  write: (cwd, migrations) =>
    replace(
      join(cwd, 'migrations'),
      Object.fromEntries(
        migrations.map(({ up, down }, i) => [
          `${padded(i, 3)}_part.sql`,
          `-- Up Migration\n${up}\n\n-- Down Migration\n${down}\n`,
        ]),
      ),
    ),
})

const graphileMigrate = (bin: string): Tool => ({
  format: 'graphile-migrate',
  // the shadow database is never touched by what we run; `status` wants its name
  run: (args, { cwd, url }) =>
    node(join(bin, 'graphile-migrate/dist/cli.js'), args, cwd, {
      DATABASE_URL: url,
      SHADOW_DATABASE_URL: `${url}_shadow`,
    }),
  up: ['migrate'],
  nothing: /Already up to date/,
  async write(cwd, migrations) {
    let previous: string | undefined
    const files: Record<string, string> = {}
    for (const [i, { up }] of migrations.entries()) {
      const hash: string = `sha1:${createHash('sha1')
        .update(`${`${previous ?? ''}\n${up.trim()}`.trim()}\n`)
        .digest('hex')}`
      files[`${padded(i, 6)}-part.sql`] =
        `--! Previous: ${previous ?? '-'}\n--! Hash: ${hash}\n--! Message: part\n\n${up.trim()}\n`
      previous = hash
    }
    await writeFiles(cwd, { '.gmrc': '{}\n', 'migrations/current.sql': '-- Enter migration here\n' })
    await replace(join(cwd, 'migrations', 'committed'), files)
  },
})
