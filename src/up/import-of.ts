import type { Config } from '../config/schema.ts'
import type { Context } from '../run/context.ts'

/** The import that is configured, where the command works in the target database; its code is only loaded then. */
export const importOf = ({ loaded, isTarget }: Context): Config['import'] =>
  loaded.config.import !== undefined && isTarget() ? loaded.config.import : undefined
