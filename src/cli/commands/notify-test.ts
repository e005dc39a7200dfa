import { sendTests } from '../../serve/notify/test-messages.ts'
import type { Command } from '../command.ts'

/** `notify test`: one message of each kind to each target of `notify`. */
export const notifyTest: Command = {
  name: 'notify test',
  details: 'Exit 0 only if every target received every message. A ping of failure is not sent: it would wake somebody.',
  flags: {},
  startsAnew: true,
  exits: { failed: 'a message was not received' },
  run: sendTests,
}
