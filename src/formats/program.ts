// pure
import { usage } from '../errors.ts'
import type { Migration } from './types.ts'

/**
 * A migration that is a program: once its own tool has run it, it is in the history like any other, but we cannot apply it.
 * @param identity how the format identifies it
 * @param says     why it cannot be applied, and what to do
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
