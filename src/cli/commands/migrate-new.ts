import { existsSync } from 'node:fs'
import { createMigration } from '../../formats/new-file.ts'
import { openFormat } from '../../formats/open.ts'
import { noReadOptions, readMigrations } from '../../formats/read.ts'
import type { MigrateTarget } from '../../up/target.ts'
import { findTargets } from '../../up/targets.ts'
import type { Command, CommandContext } from '../command.ts'

/** `migrate new`: an empty file with the next version. */
export const migrateNew: Command = {
  name: 'migrate new',
  args: { usage: 'NAME', min: 1, max: 1 },
  flags: { reversible: { type: 'boolean', help: 'Also create the file that undoes it.' } },
  exits: {},
  async run(context) {
    const { args, flags, out } = context
    const [target] = findTargets(context, true)
    const reversible = flags.reversible === true
    const paths = await createMigration(await folderOf(context, target!), args[0]!, { now: new Date(), reversible })
    for (const path of paths) out.print(path)
    return { fields: { file: paths[0], files: paths } }
  },
}

/** The folder in its format; with `auto` the files alone decide, because no database is asked. */
async function folderOf(context: CommandContext, target: MigrateTarget) {
  const { dir, placeholders } = target
  const format = target.format === 'auto' ? await detected(context, target) : target.format
  const there = existsSync(dir)
  if (there) return readMigrations(dir, format, { ...noReadOptions, placeholders })
  return { format: await openFormat(format), dir, files: [] }
}

async function detected(context: CommandContext, target: MigrateTarget) {
  const { detectFormatOf } = await import('../../up/detect.ts')
  return detectFormatOf(context, target, undefined)
}
