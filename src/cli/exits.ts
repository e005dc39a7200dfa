import type { Command } from './command.ts'

/** The exit codes of `up`, and of commands that start with it. */
export const upExits: Command['exits'] = {
  unreachable: 'not ready within wait.timeout, or the connection was lost for good',
  locked: 'the run lock or a table was held for too long',
  refused: 'credentials, TLS, an undeclared missing database or a missing privilege',
  migration: 'a migration failed; what was applied before it stays',
  history: 'the files do not match the history',
  lint: 'a migration has its own BEGIN or COMMIT, or breaks a rule that migrate.lint sets to error',
  roles: 'roles or privileges did not converge',
  seed: 'a seed or an import failed; nothing of it stays',
  backup: 'migrate.backupFirst asks for a backup that could not be made; nothing was migrated',
  unhealthy: 'the check at the end found an error',
}
