// pure
import { createHmac } from 'node:crypto'
import type { NotifyKind } from '../../config/notify.ts'
import { visible } from '../../text.ts'
import type { Message } from './messages.ts'

/** What is sent by POST, besides what the target's own headers say. */
export type Posted = { body: string; headers: Record<string, string> }

const marks = { opened: 'PROBLEM', still: 'STILL', reminder: 'STILL', resolved: 'OVER' } as const

/** A message in words: what, of which database, since when, what to do. Names are text of the application, so nothing in them counts. */
export function textOf({ event, condition, flapping }: Message, now: Date): string {
  const { name, severity, database, schedule, message, hint, since } = condition
  const of = [database && `database ${database}`, schedule && `schedule ${schedule}`].filter(Boolean).join(', ')
  const head = `${marks[event]} ${name}${severity === 'warning' ? ' (warning)' : ''}${of === '' ? '' : ` of ${of}`}`
  const when = `since ${minute(since)}${lasted(now.getTime() - Date.parse(since))}`
  const lines: string[] =
    event === 'resolved' ? [`${head}, ${when}: ${message}`] : [`${head}, ${when}: ${message}`, `now: ${hint}`]
  if (flapping) lines.push('it comes and goes: for an hour, nothing more is said of it')
  return lines.map((line) => cut(visible(line))).join('\n')
}

/**
 * Discord takes 2000 characters, Telegram and ntfy about 4000, and refuse what is longer: then whoever is told would hear of nothing else
 * any more, because each message is tried until it is received.
 */
const longestLine = 800

/** As long as it is once it is escaped, for chats, and half of its bytes: ntfy counts those. */
const weightOf = (text: string) => Math.max(withoutMarkup(text).length, Buffer.byteLength(text) / 2)

function cut(line: string): string {
  if (weightOf(line) <= longestLine) return line
  const signs = [...line.slice(0, longestLine).toWellFormed()]
  const start = (count: number) => signs.slice(0, count).join('')
  let [fits, most] = [0, signs.length]
  while (fits < most) {
    const middle = Math.ceil((fits + most) / 2)
    if (weightOf(start(middle)) <= longestLine - 2) fits = middle
    else most = middle - 1
  }
  return `${start(fits)}…`
}

/** `, 3 h`: what is shorter than two minutes is not worth saying. */
function lasted(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 2) return ''
  return minutes < 120
    ? `, ${minutes} min`
    : minutes < 2_880
      ? `, ${Math.floor(minutes / 60)} h`
      : `, ${Math.floor(minutes / 1_440)} d`
}

/** `2026-11-30 03:00 UTC` */
const minute = (instant: string) => `${instant.slice(0, 10)} ${instant.slice(11, 16)} UTC`

/**
 * A message in the words and the markup of a kind of target, none of which comes from names.
 * @param url of the target: a chat of Telegram is named in its query
 */
export function posted(
  kind: Exclude<NotifyKind, 'healthchecks'>,
  message: Message,
  { now, url, secret }: { now: Date; url: string; secret: string | undefined },
): Posted {
  const text = textOf(message, now)
  switch (kind) {
    case 'slack':
      return json({ text: withoutMarkup(text) })
    case 'telegram':
      return json({ chat_id: new URL(url).searchParams.get('chat_id'), text })
    case 'ntfy':
      return {
        body: text,
        headers: {
          'content-type': 'text/plain; charset=utf-8',
          title: `pgbosun: ${marks[message.event]} ${message.condition.name}`,
          priority: message.event !== 'resolved' && message.condition.severity === 'error' ? 'high' : 'default',
        },
      }
    case 'json':
      return signed(
        json(documentOf(message, text, now), {
          'idempotency-key': encodeURI(`${message.key}/${message.event}`.toWellFormed()),
        }),
        {
          now,
          secret,
        },
      )
  }
}

/** The document for programs. */
function documentOf({ event, key, condition }: Message, text: string, now: Date) {
  const { name, severity, database, schedule, message, hint, since } = condition
  return {
    ...{ event, key, at: now.toISOString(), name, severity, database: database ?? null, schedule: schedule ?? null },
    ...{ message, hint, since, text },
  }
}

const json = (document: object, headers: Record<string, string> = {}): Posted => ({
  body: JSON.stringify(document),
  headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
})

/**
 * `Pgbosun-Signature: t=1764480000,v1=<hex>`: HMAC-SHA256 over `<t>.<body>`, with `t` in seconds since 1970. Who receives it refuses what
 * is older than five minutes.
 */
function signed({ body, headers }: Posted, { now, secret }: { now: Date; secret: string | undefined }): Posted {
  if (secret === undefined) return { body, headers }
  const t = Math.floor(now.getTime() / 1000)
  const v1 = createHmac('sha256', secret).update(`${t}.${body}`).digest('hex')
  return { body, headers: { ...headers, 'pgbosun-signature': `t=${t},v1=${v1}` } }
}

/**
 * Slack: https://docs.slack.dev/messaging/formatting-message-text. Discord and Mattermost would notify everybody for a name with `@`, and
 * hide an address behind `[text](…)`. What does not begin or end markup stays as it is, because commands are copied from the message.
 */
const withoutMarkup = (text: string) =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('@', '@\u200b')
    .replaceAll('`', "'")
    .replaceAll(/[*~]|\|(?=\|)|\](?=\()/g, (mark) => `${mark}\u200b`)
    .replaceAll(/(?<![\p{L}\p{N}_])_+|_+(?![\p{L}\p{N}_])/gu, (marks) => marks.replaceAll('_', '_\u200b'))
