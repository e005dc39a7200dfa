// pure

/** One value of a metric. Labels are shown in the order of their names. */
export type Sample = { labels?: Record<string, string>; value: number }

/** A metric with all its values; without any it is left out, because 0 would be a lie about what is not known. */
export type Family = { name: string; type: 'gauge' | 'counter'; help: string; samples: Sample[] }

/** The media type of {@link renderMetrics}. */
export const metricsType = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * The text format 0.0.4 of Prometheus:
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format. Pure.
 */
export const renderMetrics = (families: readonly Family[]): string =>
  families
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, type, help, samples }) =>
      [
        `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`,
        `# TYPE ${name} ${type}`,
        ...samples.map(({ labels = {}, value }) => `${name}${renderLabels(labels)} ${renderValue(value)}`),
        '',
      ].join('\n'),
    )
    .join('')

function renderLabels(labels: Record<string, string>): string {
  const pairs = Object.keys(labels)
    .sort()
    .map((name) => `${name}="${escapeValue(labels[name]!)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

/** A lone surrogate is no UTF-8, and would spoil the whole answer. */
const escapeValue = (value: string) =>
  value.toWellFormed().replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

const renderValue = (value: number) =>
  Number.isFinite(value) ? String(value) : Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'

/** Seconds since 1970, as Prometheus wants instants. @param instant RFC 3339 */
export const secondsOf = (instant: Date | string): number => new Date(instant).getTime() / 1000
