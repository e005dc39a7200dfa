// pure
import type { StateTable } from '../state/tables.ts'

/** The steps of `up`, in order. */
const always = ['wait', 'ensure', 'migrate', 'grant', 'seed', 'check']

/** An import is a step only where one is configured. */
export const stepNames = ({ imports }: { imports: boolean }): string[] =>
  !imports ? always : always.flatMap((name) => (name === 'grant' ? ['import', name] : [name]))

/** The tables of the state that the steps after `migrate` write to. */
export const recordsOf = ({ seeds, imports }: { seeds: boolean; imports: boolean }): StateTable[] => [
  ...(seeds ? (['seeds'] as const) : []),
  ...(imports ? (['imports'] as const) : []),
]
