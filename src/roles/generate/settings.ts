// pure
import { looksLikeUrl } from '../../config/predicates.ts'
import { isListSetting, splitList } from '../../sql/settings.ts'
import type { Note, Part } from './types.ts'

/** A setting as it is stored. */
export type Stored = { name: string; value: string }

/** Settings as the file writes them, without those that may be secrets: of these, only the name is told. Pure. */
export function settingsOf(path: string[], stored: Stored[]): { part: Part; notes: Note[] } {
  const left = stored.filter(mayBeSecret)
  return {
    part: Object.fromEntries(
      stored.filter((one) => !mayBeSecret(one)).map(({ name, value }) => [name, asWritten(name, value)]),
    ),
    notes: left.map(({ name }) => ({ path, text: `left out: the setting ${name}, which may be a secret`, lost: true })),
  }
}

/** Anybody may read settings, but a file is copied to more places. Names with a dot are of extensions and of applications. */
const mayBeSecret = ({ name, value }: Stored) =>
  name === '__proto__' || name.includes('.') || /secret|token|key|password/i.test(name) || looksLikeUrl(value)

const asWritten = (name: string, value: string) => (isListSetting(name) ? splitList(value) : value)
