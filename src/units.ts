// pure
const msPer = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** A number and a unit: `500ms`, `30s`, `5m`, `6h`, `7d`. */
export const durationPattern = /^(\d+)(ms|s|m|h|d)$/

/** A duration that matches {@link durationPattern}, in milliseconds. */
export function durationMs(text: string): number {
  const [, count, unit] = durationPattern.exec(text) ?? []
  return Number(count) * msPer[unit as keyof typeof msPer]
}

/** The shortest exact spelling: 90000 is `90s`, 300000 is `5m`. */
export function renderDuration(ms: number): string {
  const unit = (['d', 'h', 'm', 's'] as const).find((name) => ms >= msPer[name] && ms % msPer[name] === 0) ?? 'ms'
  return `${ms / msPer[unit]}${unit}`
}

/** A number and a unit: `500MB`, in powers of a thousand; `20GiB`, in powers of 1024. */
export const sizePattern = /^(\d+)(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$/

/** A size that matches {@link sizePattern}, in bytes. */
export function sizeBytes(text: string): number {
  const [, count, unit = ''] = sizePattern.exec(text) ?? []
  const power = ' KMGT'.indexOf(unit.length > 1 ? unit[0]!.toUpperCase() : ' ')
  return Number(count) * (unit.endsWith('iB') ? 1024 : 1000) ** power
}

/** The shortest exact spelling: 21474836480 is `20GiB`. */
export function renderSize(bytes: number): string {
  const units = ['TiB', 'TB', 'GiB', 'GB', 'MiB', 'MB', 'KiB', 'kB']
  const unit = units.find((name) => bytes >= sizeBytes(`1${name}`) && bytes % sizeBytes(`1${name}`) === 0) ?? 'B'
  return `${bytes / sizeBytes(`1${unit}`)}${unit}`
}

/** A size for people: `8.2 MB`, in powers of a thousand. */
export function renderBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  // Rounded first, so that 999,999 are not 1000 kB.
  const rounded = Number(bytes.toPrecision(3))
  const power = rounded < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(rounded) / 3))
  return `${Number((rounded / 1000 ** power).toPrecision(3))} ${units[power]}`
}

/** Milliseconds as people read them: `1.8 s`, `12 ms`. */
export const seconds = (ms: number) => (Math.round(ms) < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`)

/** How long ago an instant is: `3 d 4 h ago`; for one in the future, `2 h in the future`. */
export const renderAgo = (ms: number): string => (ms < 0 ? `${renderAge(ms)} in the future` : `${renderAge(ms)} ago`)

/** `3 d 4 h`, `2 h 5 min`, `40 s`: the two largest units; the sign is ignored. */
export function renderAge(ms: number): string {
  const units: [string, number][] = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1_000],
  ]
  const parts: string[] = []
  let rest = Math.abs(ms)
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0) parts.push(`${count} ${unit}`)
    else if (parts.length > 0) break
  }
  return parts.slice(0, 2).join(' ') || '0 s'
}

/** The first so many of something: `first statement` of one, `first 3 statements`. */
export const firstOf = (count: number, one: string): string => (count === 1 ? `first ${one}` : `first ${count} ${one}s`)

/** Megabytes for a progress bar: at least 1, so that it always shows something. */
export const megabytes = (bytes: number): number => Math.max(1, Math.round(bytes / 1_000_000))

/** A noun in singular or plural: `migration` for 1, `migrations` for any other number. @param many plural, if it is not just an added `s` */
export const plural = (count: number, one: string, many = `${one}s`): string => (count === 1 ? one : many)

/** A number with its noun: `1 migration`, `3 migrations`, `2 indexes`. */
export const counted = (count: number, one: string, many?: string): string => `${count} ${plural(count, one, many)}`

/** How many things of a list a message names. The whole list is in the JSON document. */
const mostNamed = 3

/** A list for a message, however long it is: `a, b, c`, but `a, b, c and 7 more` of ten. */
export function someOf(names: readonly string[], between = ', ', most = mostNamed): string {
  const more = names.length - most
  if (more <= 0) return names.join(between)
  return `${names.slice(0, most).join(between)}${between === '; ' ? ';' : ''} and ${more} more`
}

/** The same for lines of an excerpt: how many more there are is the last line, indented like the others. */
export function someLines(lines: readonly string[], most = mostNamed): string[] {
  const indent = /^ */.exec(lines[0] ?? '')?.[0]
  return lines.length > most ? [...lines.slice(0, most), `${indent}and ${lines.length - most} more`] : [...lines]
}
