import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { flywayCore } from './tools/flyway.ts'
import { goTools } from './tools/go.ts'
import { npmTools } from './tools/npm.ts'
import { sqlxCli } from './tools/sqlx.ts'
import type { Source, Tool } from './tools/tool.ts'

/** The real tools, with the versions that are tested. */
export const sources: Source[] = [...npmTools, sqlxCli, ...goTools, flywayCore]

/** A tool that cannot be had here, and why. */
export type Missing = { name: string; why: string }

/**
 * The real tools, installed once per machine by the package managers of their languages; those that take long only with
 * `BOSUN_TEST_FULL=1`.
 */
export async function findTools(): Promise<{ tools: Tool[]; missing: Missing[] }> {
  const tools: Tool[] = []
  const missing: Missing[] = []
  for (const source of sources)
    try {
      if (source.full && process.env.BOSUN_TEST_FULL !== '1') throw new Error('only ./scripts/test --full runs it')
      tools.push(...source.tools(await install(source)))
    } catch (error) {
      missing.push({ name: source.name, why: reason(error) })
    }
  return { tools, missing }
}

/** The same for tests, which leave out what is missing. */
export async function installTools(): Promise<Tool[]> {
  const { tools, missing } = await findTools()
  for (const { name, why } of missing) process.stderr.write(`NOT RUN: tests with the real ${name}: ${why}\n`)
  return tools
}

/** Why something is missing, in a line. */
export const reason = (error: unknown) =>
  (error instanceof Error ? error.message : String(error))
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ')
    .slice(0, 300)

const installing = new Map<string, Promise<string>>()

/** Installs once, for all tools that lie in the same folder. @returns that folder @throws with a line that says why not */
export function install(source: Pick<Source, 'name' | 'key' | 'fill'>): Promise<string> {
  const started = installing.get(source.key) ?? fill(source)
  installing.set(source.key, started)
  return started
}

/** The folder is made elsewhere and renamed: several tests may install at once, and one that is killed leaves nothing half done. */
async function fill({ name, key, fill }: Pick<Source, 'name' | 'key' | 'fill'>): Promise<string> {
  const cache = join(tmpdir(), `pgbosun-tools-${process.getuid?.() ?? ''}`)
  const target = join(cache, createHash('sha256').update(key).digest('hex').slice(0, 16))
  if (!existsSync(target)) {
    mkdirSync(cache, { recursive: true, mode: 0o700 })
    const dir = mkdtempSync(join(cache, 'installing-'))
    try {
      await fill(dir)
      renameSync(dir, target)
    } catch (error) {
      rmSync(dir, { recursive: true, force: true })
      if (!existsSync(target)) throw error // else another was faster
    }
  }
  if (statSync(target).uid !== process.getuid?.()) throw new Error(`${target} with ${name} belongs to somebody else`)
  return target
}
