// pure
import type { Config } from './schema.ts'

/** The configuration without a file, in the same way. It is a module of its own, because such a run needs nothing else of the schema. */
export const defaults: Config | undefined = undefined
