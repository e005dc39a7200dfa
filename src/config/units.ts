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
