import { runDaemon } from '../../serve/daemon.ts'
import type { Command } from '../command.ts'
import { upExits } from '../exits.ts'

/** `serve`: `up`, then backups on schedule, health and status over HTTP, until it is asked to stop. */
export const serve: Command = {
  name: 'serve',
  summary: 'Make the database ready as `up` does, then stay: scheduled, verified backups, retention, health endpoints.',
  flags: { 'no-up': { type: 'boolean', help: 'Skip the first part; works with only the backup role.' } },
  exits: { ...upExits, backup: 'the configuration of the backups cannot be used' },
  run: (context) => runDaemon(context, { up: context.flags['no-up'] !== true }),
}
