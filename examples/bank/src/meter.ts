const routes = ['/health', '/livez', '/accounts', '/transfers']

/** Requests by route and status, and how long they took, as Prometheus reads it. */
export class Meter {
  readonly #requests = new Map<string, number>()
  readonly #seconds = new Map<string, { sum: number; count: number }>()

  count(path: string, status: number, ms: number): void {
    const route = routes.find((one) => path === one || path.startsWith(`${one}/`)) ?? 'other'
    const key = `route="${route}",status="${status}"`
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1)
    const { sum, count } = this.#seconds.get(route) ?? { sum: 0, count: 0 }
    this.#seconds.set(route, { sum: sum + ms / 1000, count: count + 1 })
  }

  text(): string {
    const lines = [
      '# HELP neobank_requests_total Requests that were answered.',
      '# TYPE neobank_requests_total counter',
    ]
    for (const [key, value] of this.#requests) lines.push(`neobank_requests_total{${key}} ${value}`)
    lines.push('# HELP neobank_request_seconds How long answers took.', '# TYPE neobank_request_seconds summary')
    for (const [route, { sum, count }] of this.#seconds)
      lines.push(
        `neobank_request_seconds_sum{route="${route}"} ${sum}`,
        `neobank_request_seconds_count{route="${route}"} ${count}`,
      )
    return `${lines.join('\n')}\n`
  }
}
