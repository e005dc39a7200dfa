// pure
import type { Compiled } from './rules.ts'

/** The schema as data. The build puts it here (scripts/bundle.ts); a run from the sources has none and uses the schema itself. */
export const compiled: Compiled | undefined = undefined
