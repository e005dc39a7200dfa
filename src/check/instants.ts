// pure
import { renderAge } from '../units.ts'

/** An instant in UTC with its age in words: `2026-03-01 02:00:00 UTC (3 h ago)`, `… (in 5 min)`. */
export function instant(text: string, now: Date): string {
  return `${utc(text)} (${age(text, now)})`
}

/** `2026-03-01 02:00:00 UTC`; the text itself where it is no instant. */
export function utc(text: string): string {
  const at = Date.parse(text)
  return Number.isNaN(at) ? text : `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

/** `3 h 4 min ago`, `in 5 min`, `now`. */
export function age(text: string, now: Date): string {
  const ms = now.getTime() - Date.parse(text)
  if (Number.isNaN(ms)) return 'at an unknown time'
  if (Math.abs(ms) < 1000) return 'now'
  return ms < 0 ? `in ${renderAge(ms)}` : `${renderAge(ms)} ago`
}
