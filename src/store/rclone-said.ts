// pure
import { visible } from '../text.ts'

/**
 * The last line of an error, without its date. A signed address would be a secret, and what follows a `?` or an `@` may be one.
 */
export function lastWords(text: string): string {
  const lines = text.trim().split('\n')
  const last = (lines.at(-1) ?? '').replace(/^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d /, '')
  return visible(last.replace(/\?\S+/g, '?…').replace(/\/\/[^/\s@]*@/g, '//…@')).slice(0, 500)
}
