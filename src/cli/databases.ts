import { backupDatabases } from '../config/resolve.ts'
import type { CommandContext } from './command.ts'

/** The databases a command is about; `--database` narrows them to one. */
export function chosenDatabases({
  flags,
  loaded: { config, env, baseDir },
}: Pick<CommandContext, 'flags' | 'loaded'>): string[] {
  return typeof flags.database === 'string' ? [flags.database] : backupDatabases(config, env, baseDir)
}
