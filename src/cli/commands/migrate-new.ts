import { existsSync } from 'node:fs'
import { createMigration } from '../../formats/new-file.ts'
import { openFormat } from '../../formats/open.ts'
import { type Folder, noReadOptions, readMigrations } from '../../formats/read.ts'
import type { MigrateTarget } from '../../up/target.ts'
import { findTargets } from '../../up/targets.ts'
import type { Command, CommandContext } from '../command.ts'

/** `migrate new`: an empty file with the next version. */
export const migrateNew: Command = {
  name: 'migrate new',
  details: 'If migrate.dir is a list, the file is written to the first folder of it.',
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

/** The folders in their format; with `auto` the files alone decide, because no database is asked. Only the first need not exist yet. */
async function folderOf(context: CommandContext, target: MigrateTarget): Promise<Folder> {
  const { dirs, placeholders } = target
  const format = target.format === 'auto' ? await detected(context, target) : target.format
  const [first, ...others] = dirs
  const [second, ...more] = existsSync(first) ? dirs : others
  if (second === undefined) return { format: await openFormat(format), dirs, files: [] }
  const { files, ...folder } = await readMigrations([second, ...more], format, { ...noReadOptions, placeholders })
  return { ...folder, dirs, files }
}

async function detected(context: CommandContext, target: MigrateTarget) {
  const { detectFormatOf } = await import('../../up/detect.ts')
  return detectFormatOf(context, target, undefined)
}
