// pure
import type { StateTable } from '../state/tables.ts'

/** The steps of `up`, in order. */
const always = ['wait', 'ensure', 'migrate', 'grant', 'seed', 'check']

/** An import is a step only where one is configured: of a whole database before the migrations, of a file after them. */
export function stepNames({ imports }: { imports: 'before' | 'after' | undefined }): string[] {
  const next = imports && (imports === 'before' ? 'migrate' : 'grant')
  return always.flatMap((name) => (name === next ? ['import', name] : [name]))
}

/** The tables of the state that the steps after `migrate` write to. */
export const recordsOf = ({ seeds, imports }: { seeds: boolean; imports: boolean }): StateTable[] => [
  ...(seeds ? (['seeds'] as const) : []),
  ...(imports ? (['imports'] as const) : []),
]
