import { get } from 'node:http'
import { resolveServeAccess } from '../../config/serve-access.ts'
import { AppError, usage } from '../../errors.ts'
import { loopbackOf, parseListen } from '../../serve/server.ts'
import { visible } from '../../text.ts'
import { someOf } from '../../units.ts'
import type { Command, CommandContext } from '../command.ts'

const timeoutMs = 5_000

/** `healthcheck`: asks the `serve` of this container whether it is alive, whether it is ready, or whether something is wrong with the backups. */
export const healthcheck: Command = {
  name: 'healthcheck',
  flags: {
    ready: { type: 'boolean', help: 'Ask for /readyz instead of /livez: for services that depend on the database.' },
    backups: {
      type: 'boolean',
      help: "Ask whether a backup failed, is overdue or damaged, or the store cannot be read. For monitoring, not for a container's health check.",
    },
  },
  startsAnew: true,
  exits: {},
  async run(context) {
    const { loaded, out, flags } = context
    if (flags.ready && flags.backups)
      throw usage('--ready and --backups cannot be used together', { hint: 'run healthcheck twice' })
    const base = loopbackOf(parseListen(loaded.config.serve.listen))
    if (flags.backups) return askBackups(context, `${base}/status.json`)
    const url = `${base}${flags.ready ? '/readyz' : '/livez'}`
    const { status, body } = await ask(url)
    if (status !== 200) throw unhealthy(`${url} answered ${status}: ${body.trim()}`)
    out.print(body.trim().split('\n'))
    return { fields: { url } }
  },
}

type Status = { conditions: { name: string; severity: string; message: string }[] }

/** What a store should be otherwise is no failure of backups. */
const isOpen = ({ name, severity }: Status['conditions'][number]) =>
  /^(backup|client|restore-test)-/.test(name) || (name.startsWith('store-') && severity === 'error')

async function askBackups({ loaded: { config, env, baseDir }, out }: CommandContext, url: string) {
  const access = resolveServeAccess(config, env, baseDir)
  const { status, body } = await ask(
    url,
    typeof access === 'string' ? {} : { authorization: `Bearer ${access.token()}` },
  )
  if (status !== 200) throw unhealthy(`${url} answered ${status}: ${body.trim()}`)
  const open = (JSON.parse(body) as Status).conditions.filter(isOpen)
  if (open.length > 0)
    throw unhealthy(
      someOf(
        open.map(({ message }) => visible(message)),
        '; ',
      ),
    )
  out.print(['ok'])
  return { fields: { url } }
}

const unhealthy = (message: string, cause?: unknown) =>
  new AppError('failed', message, { hint: 'look at the log of `serve`, and check serve.listen', cause })

function ask(url: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = get(url, { timeout: timeoutMs, headers }, (response) => {
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
