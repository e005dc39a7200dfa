import type { Command } from './command.ts'

/** The exit codes of `up`, and of what begins with it. */
export const upExits: Command['exits'] = {
  unreachable: 'not ready within wait.timeout, or the connection was lost for good',
  locked: 'another runner or a table was in the way for too long',
  refused: 'credentials, TLS, an undeclared missing database or a missing privilege',
  migration: 'a migration failed; what was applied before it stays',
  history: 'migration files and history do not fit together',
  lint: 'a migration has its own BEGIN or COMMIT, or breaks a rule that migrate.lint sets to error',
  roles: 'roles or privileges did not converge',
  seed: 'a seed failed',
  unhealthy: 'the check at the end found an error',
}
