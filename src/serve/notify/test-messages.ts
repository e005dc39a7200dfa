import { randomUUID } from 'node:crypto'
import { AppError } from '../../errors.ts'
import type { Context, Result } from '../../run/context.ts'
import { visible } from '../../text.ts'
import type { Message } from './messages.ts'
import { pingOnce } from './pings.ts'
import { posted } from './render.ts'
import { type Target, targetsOf } from './targets.ts'

/** What became of one message to a target; `problem` null: it was received. */
type Sent = { target: string; what: string; problem: string | null }

/** `notify test`: one message of each kind to each target, once each. @returns a failure unless all were received */
export async function sendTests(context: Context): Promise<Result> {
  const { loaded, out, signal } = context
  const sent: Sent[] = []
  for (const target of targetsOf(loaded)) sent.push(...(await testOne(target, signal)))
  if (sent.length === 0) out.print('notify is not configured: nobody is told')
  for (const { target, what, problem } of sent)
    out.print(`notify  ${target}  ${what}  ${visible(problem ?? 'received')}`)
  const failed = sent.filter(({ problem }) => problem !== null)
  const names = [...new Set(failed.map(({ target }) => target))]
  return {
    fields: { sent },
    failure:
      failed.length === 0
        ? undefined
        : new AppError(
            'failed',
            `${failed.length} of ${sent.length} messages were not received, by ${names.join(', ')}`,
            {
              hint: 'check the URL, its secret and the network of each of them',
            },
          ),
  }
}

async function testOne(target: Target, signal: AbortSignal): Promise<Sent[]> {
  const sent: Sent[] = []
  const send = async (what: string, post: () => Promise<string | undefined>) => {
    signal.throwIfAborted()
    const problem = await post().catch((error: Error) => error.message)
    sent.push({ target: target.name, what, problem: problem ?? null })
  }
  if (target.as === 'healthchecks') {
    const rid = randomUUID()
    for (const path of ['/start', ''] as const)
      await send(path === '' ? 'success' : 'start', () =>
        pingOnce(target, { path, rid, text: 'pgbosun notify test' }, signal),
      )
    return sent
  }
  const { as } = target
  for (const event of target.events)
    await send(event, async () => {
      const { url, secret } = await target.read(signal)
      return target.post(url, posted(as, testMessage(event), { now: new Date(), url, secret }), signal)
    })
  return sent
}

const testMessage = (event: Message['event']): Message => {
  const since = new Date().toISOString()
  const condition = {
    ...{ name: 'notify-failing' as const, severity: 'warning' as const, since },
    message: 'this is a test of `pgbosun notify test`: nothing is wrong',
    hint: 'nothing has to be done',
  }
  return { event, key: `test/${since}`, condition }
}
