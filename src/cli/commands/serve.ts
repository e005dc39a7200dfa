import { withoutRepeats } from '../../log.ts'
import { runDaemon } from '../../serve/daemon.ts'
import type { Command } from '../command.ts'
import { upExits } from '../exits.ts'

/** `serve`: does what `up` does, then makes backups on schedule and answers for health and status over HTTP, until it is told to stop. */
export const serve: Command = {
  name: 'serve',
  flags: { 'no-up': { type: 'boolean', help: 'Skip what `up` does. Then the backup role alone is enough.' } },
  exits: { ...upExits, backup: 'the configuration of the backups cannot be used' },
  run: (context) =>
    runDaemon({ ...context, log: withoutRepeats(context.log) }, { up: context.flags['no-up'] !== true }),
}
