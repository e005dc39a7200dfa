// pure
import { cutName } from '../../sql/quote.ts'

/** What a scratch database is for, stored as JSON in its comment. */
export type ScratchStory = {
  pgbosun: 'shadow'
  /** Eight hexadecimal digits, unique to it. */
  id: string
  /** The live database that it is compared with. */
  of: string
  run: string
  started_at: string
}

/** `<live, cut to 40 bytes>__shadow_<id>`. */
export const scratchName = (live: string, id: string) => `${cutName(live)}__shadow_${id}`

/** POSIX pattern of every {@link scratchName}. */
export const scratchPattern = '__shadow_[0-9a-f]{8}$'

/** Whether a database is a scratch database of ours. Its comment decides, because anybody may choose such a name. */
export function isScratch(name: string, comment: string | null): boolean {
  const story = parse(comment)
  if (typeof story !== 'object' || story === null) return false
  const { pgbosun, id, of } = story as Partial<ScratchStory>
  return pgbosun === 'shadow' && typeof id === 'string' && typeof of === 'string' && scratchName(of, id) === name
}

function parse(text: string | null): unknown {
  try {
    return JSON.parse(text ?? 'null')
  } catch {
    return undefined
  }
}
