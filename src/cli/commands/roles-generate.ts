import { ofOneKind } from '../../plan.ts'
import type { Result } from '../../run/context.ts'
import { withRun } from '../../run/run.ts'
import { visible } from '../../text.ts'
import { generateFile } from '../../up/generate.ts'
import type { Command, CommandContext } from '../command.ts'

/** `roles generate`: prints the configuration of a server that is there. */
export const rolesGenerate: Command = {
  name: 'roles generate',
  details:
    'The file has the target database, its schemas, extensions and privileges, and all roles of the server.\n' +
    'A plan of it changes nothing. Passwords become names of variables. What may be a secret, or cannot be\n' +
    'said in the file, is left out, with a comment and a warning. Takes no lock and writes nothing.',
  flags: {},
  exits: {
    unreachable: 'no connection within wait.timeout, or the connection was lost',
    refused: 'credentials, or a privilege is missing',
    roles: 'the server has something that makes a configuration impossible',
  },
  run: generate,
}

async function generate(context: CommandContext): Promise<Result> {
  const { out } = context
  const { text, config, notes, changes } = await withRun(context, { locks: 'none' }, generateFile)
  const place = (path: string[]) => (path.length === 0 ? '' : `${path.join('.')}: `)
  const lost = notes.filter((note) => note.lost).map((note) => visible(`${place(note.path)}${note.text}`))
  for (const warning of ofOneKind(lost)) out.warn(warning)
  const differing = changes.map(
    ({ action, object, reason }) => `a plan of this file would ${action} ${object}: ${reason}`,
  )
  for (const warning of ofOneKind(differing)) out.warn(warning)
  out.print(text.trimEnd().split('\n'))
  return { fields: { yaml: text, configuration: config } }
}
