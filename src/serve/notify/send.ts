import type { Agent, AgentOptions, IncomingMessage } from 'node:http'

/** Where and how a message is sent. */
export type Sending = {
  url: string
  body: string
  headers: Record<string, string>
  /** Certificates of the authorities to trust; undefined: those that Node trusts. */
  ca: string[] | undefined
  /** The variables of the environment that name proxies. */
  proxy: Record<string, string | undefined>
  signal: AbortSignal
}

const limitMs = 10_000

/**
 * Sends by POST, once. Only an answer of 2xx counts as received: a redirect is not followed, because it could lead to where others listen.
 *
 * @returns why it was not received; undefined if it was. Never shows the URL, which is a secret for most services
 */
export async function send({ url, body, headers, ca, proxy, signal }: Sending): Promise<string | undefined> {
  const client = url.toLowerCase().startsWith('https:') ? await import('node:https') : await import('node:http')
  const agent = agentOf(client, proxy)
  if (!agent) return 'the proxy that HTTP_PROXY or HTTPS_PROXY names is no URL'
  return new Promise((resolve) => {
    const limit = AbortSignal.any([AbortSignal.timeout(limitMs), signal])
    const request = client.request(url, {
      ...{ method: 'POST', agent, signal: limit, headers: { 'user-agent': 'pgbosun', ...headers } },
      ...(ca && { ca }),
    })
    const end = (problem: string | undefined) => {
      resolve(problem)
      request.destroy()
      agent.destroy()
    }
    request.on('error', (error: NodeJS.ErrnoException) =>
      end(
        limit.aborted
          ? `no answer within ${limitMs / 1000} s`
          : `it could not be reached (${error.code ?? error.name})`,
      ),
    )
    request.on('response', ({ statusCode = 0 }: IncomingMessage) =>
      end(statusCode >= 200 && statusCode < 300 ? undefined : `it answered ${statusCode}`),
    )
    request.end(body)
  })
}

/** Undefined for a proxy that is no URL: what Node says of that shows the proxy's password. */
function agentOf(client: { Agent: new (options: AgentOptions) => Agent }, proxyEnv: Sending['proxy']) {
  try {
    return new client.Agent({ proxyEnv })
  } catch {
    return undefined
  }
}
