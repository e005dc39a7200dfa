// pure
import { usage } from '../errors.ts'
import type { Migration } from './types.ts'

/**
 * A migration that is a program: it stands in the history like any other once its own tool has run it, and cannot be applied by us.
 * @param identity as the format knows it
 * @param says     what is wrong with it, and what to do
 */
export function programMigration(
  path: string,
  identity: Pick<Migration, 'id' | 'name'>,
  { what, hint }: { what: string; hint: string },
): Migration {
  return {
    ...identity,
    kind: 'versioned',
    ...{ sha256: '', checksum: null, native: {} },
    ...{ path, text: '', line: 1, transactional: true },
    refused: usage(`${path} ${what}`, { file: path, hint }),
  }
}
