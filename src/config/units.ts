const msPer = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** A number and a unit: `500ms`, `30s`, `5m`, `6h`, `7d`. */
export const durationPattern = /^(\d+)(ms|s|m|h|d)$/

/** Milliseconds of a duration that matches {@link durationPattern}. */
export function durationMs(text: string): number {
  const [, count, unit] = durationPattern.exec(text) ?? []
  return Number(count) * msPer[unit as keyof typeof msPer]
}

/** The shortest exact spelling: 90000 is `90s`, 300000 is `5m`. */
export function renderDuration(ms: number): string {
  const unit = (['d', 'h', 'm', 's'] as const).find((name) => ms >= msPer[name] && ms % msPer[name] === 0) ?? 'ms'
  return `${ms / msPer[unit]}${unit}`
}

/** A size for people: `8.2 MB`, in powers of a thousand. */
export function renderBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3))
  const value = bytes / 1000 ** power
  return `${power === 0 ? value : Number(value.toPrecision(3))} ${units[power]}`
}
