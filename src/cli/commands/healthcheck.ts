import { get } from 'node:http'
import { AppError } from '../../errors.ts'
import { loopbackOf, parseListen } from '../../serve/server.ts'
import type { Command } from '../command.ts'

const timeoutMs = 5_000

/** `healthcheck`: asks the `serve` of this container whether it is alive. */
export const healthcheck: Command = {
  name: 'healthcheck',
  summary: 'Ask a running `serve` for /livez over loopback; exit 0 or 1.',
  flags: {},
  exits: {},
  async run({ loaded, out }) {
    const url = `${loopbackOf(parseListen(loaded.config.serve.listen))}/livez`
    const { status, body } = await ask(url)
    if (status !== 200) throw unhealthy(`${url} answered ${status}: ${body.trim()}`)
    out.print(body.trim().split('\n'))
    return { fields: { url } }
  },
}

const unhealthy = (message: string, cause?: unknown) =>
  new AppError('failed', message, { hint: 'look at the log of `serve`, and at serve.listen', cause })

function ask(url: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = get(url, { timeout: timeoutMs }, (response) => {
      let body = ''
      response.on('data', (chunk) => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)))
    request.on('error', (cause) => reject(unhealthy(`${url}: ${cause.message}`, cause)))
  })
}
