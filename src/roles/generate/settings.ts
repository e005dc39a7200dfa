// pure
import { looksLikeUrl } from '../../config/predicates.ts'
import { isListSetting, sameSetting, splitList } from '../../sql/settings.ts'
import type { Note, Part } from './types.ts'

/** A setting as it is stored. */
export type Stored = { name: string; value: string }

/** Settings as the file writes them, without those that may be secrets: of these, only the name is told. Pure. */
export function settingsOf(path: string[], stored: Stored[]): { part: Part; notes: Note[] } {
  const part: Part = {}
  const notes: Note[] = []
  for (const one of stored) {
    const written = asWritten(one)
    const why = mayBeSecret(one)
      ? 'which may be a secret'
      : sameSetting(one.name, one.value, written)
        ? undefined
        : 'whose value the file cannot say'
    if (why === undefined) part[one.name] = written
    else notes.push({ path, text: `left out: the setting ${one.name}, ${why}`, lost: true })
  }
  return { part, notes }
}

/** Anybody may read settings, but a file is copied to more places. Names with a dot are of extensions and of applications. */
const mayBeSecret = ({ name, value }: Stored) =>
  name === '__proto__' || name.includes('.') || /secret|token|key|password/i.test(name) || looksLikeUrl(value)

const asWritten = ({ name, value }: Stored) => (isListSetting(name) ? splitList(value) : value)
