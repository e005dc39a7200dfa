import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { defaults } from './defaults.ts'
import type { Env } from './environment.ts'
import type { Config } from './schema.ts'

/** The configuration, and where it came from. */
export type Loaded = {
  config: Config
  env: Env
  /** The configuration file that was read. */
  file: string | undefined
  /** What relative paths are relative to: the folder of the file, otherwise the working directory. */
  baseDir: string
  /** Where values came from, by the path of the key: `file`, or the name of a variable. A key that is not listed has its default. */
  origins: Map<string, string>
}

const defaultFiles = ['pgbosun.yaml', 'pgbosun.yml', 'pgbosun.json']

/**
 * Finds and reads the configuration. If there is neither a file nor a variable, the schema is not loaded: loading it takes longer than
 * everything else that happens before the first byte is sent to the database.
 *
 * @param file as given by `--config`; without it the first of {@link defaultFiles} in the working directory
 * @throws {AppError} `usage` with every problem at once, each with its path
 */
export async function loadConfig({
  env,
  cwd,
  file,
}: {
  env: Env
  cwd: string
  file?: string | undefined
}): Promise<Loaded> {
  const path = file === undefined ? defaultFiles.map((name) => resolve(cwd, name)).find(existsSync) : resolve(cwd, file)
  const common = { env, file: path, baseDir: path === undefined ? cwd : dirname(path) }
  const silent = path === undefined && !Object.keys(env).some((name) => /^(PGBOSUN|INIT_POSTGRES)_/.test(name))
  if (silent && defaults) return { ...common, config: structuredClone(defaults), origins: new Map() }
  const { readConfig } = await import('./read.ts')
  return { ...common, ...(await readConfig(env, path, common.baseDir)) }
}
