import { resolve } from 'node:path'
import { createMigration } from '../../migrate/new.ts'
import type { Command } from '../command.ts'

/** `migrate new`: an empty file with the next version. */
export const migrateNew: Command = {
  name: 'migrate new',
  summary: 'Create an empty migration file with the next version in migrate.dir.',
  args: { usage: 'NAME', min: 1, max: 1 },
  flags: {},
  exits: {},
  async run({ loaded, args, out }) {
    const path = await createMigration(resolve(loaded.baseDir, loaded.config.migrate.dir), args[0]!, new Date())
    out.print(path)
    return { fields: { file: path } }
  },
}
