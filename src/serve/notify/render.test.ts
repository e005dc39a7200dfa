import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Message } from './messages.ts'
import { posted, textOf } from './render.ts'

const now = new Date('2026-03-01T06:10:00Z')
const message: Message = {
  event: 'opened',
  key: 'backup-overdue/shop//2026-03-01T03:00:00.000Z',
  condition: {
    ...{ name: 'backup-overdue', severity: 'error', database: 'shop', since: '2026-03-01T03:00:00.000Z' },
    ...{ message: 'the newest backup of shop is from 2026-02-27', hint: 'pgbosun backup run --database shop' },
  },
}
const url = 'https://example.org/x?chat_id=-100'
const postedAs = (kind: Parameters<typeof posted>[0], one = message, secret?: string) =>
  posted(kind, one, { now, url, secret })
const parsed = (body: string) => JSON.parse(body) as Record<string, unknown>

test('a text says what, of which database, since when, and what to do', () => {
  expect(textOf(message, now)).toMatchInlineSnapshot(`
    "PROBLEM backup-overdue of database shop, since 2026-03-01 03:00 UTC, 3 h: the newest backup of shop is from 2026-02-27
    now: pgbosun backup run --database shop"
  `)
  const warning = { ...message.condition, severity: 'warning' as const, schedule: 'weekly', since: now.toISOString() }
  expect(textOf({ ...message, event: 'still', condition: warning }, now).split('\n')[0]).toBe(
    'STILL backup-overdue (warning) of database shop, schedule weekly, since 2026-03-01 06:10 UTC: the newest backup of shop is from 2026-02-27',
  )
  expect(textOf({ ...message, event: 'resolved' }, now)).toBe(
    'OVER backup-overdue of database shop, since 2026-03-01 03:00 UTC, 3 h: the newest backup of shop is from 2026-02-27',
  )
})

test('a text is short enough for everybody who may get it', () => {
  const condition = { ...message.condition, message: '😀x'.repeat(5_000), hint: 'y'.repeat(5_000) }
  const text = textOf({ ...message, condition }, now)
  expect([text.length < 2_000, text.isWellFormed(), text.match(/…$/gm)]).toEqual([true, true, ['…', '…']])
})

test('a text of signs that are long once they are sent is short enough, too', () => {
  for (const sign of ['<', '&', '*', '@', '€', '漢', '😀', '_ ', '||', ']('])
    for (const kind of ['slack', 'ntfy'] as const) {
      const long = sign.repeat(5_000)
      const { body } = postedAs(kind, { ...message, condition: { ...message.condition, message: long, hint: long } })
      const sent = kind === 'slack' ? String(parsed(body).text) : body
      expect(kind === 'slack' ? sent.length : Buffer.byteLength(sent)).toBeLessThan(kind === 'slack' ? 2_000 : 4_096)
      expect(sent).toContain('…')
    }
})

test('a command is sent to a chat as it has to be typed', () => {
  const hint = 'delete it with `pgbosun restore --discard shop_eu__before_1a2b3c4d --config /etc/my_app.yaml`'
  const { text } = parsed(postedAs('slack', { ...message, condition: { ...message.condition, hint } }).body)
  expect(text).toContain("'pgbosun restore --discard shop_eu__before_1a2b3c4d --config /etc/my_app.yaml'")
})

describe('names are only names', () => {
  const hostile = (text: string): Message => ({
    ...{ ...message, key: `x/${text}/` },
    condition: { ...message.condition, message: text, database: text },
  })

  test('in Slack, Mattermost and Discord nobody is called and nothing is a link', () => {
    const { text } = parsed(postedAs('slack', hostile('<!channel> <https://evil|click> @everyone *bold* & `x`')).body)
    expect(text).toContain("&lt;!channel&gt; &lt;https://evil|click&gt; @\u200beveryone *\u200bbold*\u200b &amp; 'x'")
    const more = parsed(postedAs('slack', hostile('[bank](https://evil) ||x|| _a_ __b__ ~c~')).body)
    expect(more.text).toContain(
      '[bank]\u200b(https://evil) |\u200b|x|\u200b| _\u200ba_\u200b _\u200b_\u200bb_\u200b_\u200b ~\u200bc~\u200b',
    )
  })

  test('in every message, whatever they are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        for (const kind of ['slack', 'telegram', 'ntfy', 'json'] as const) {
          const { body, headers } = postedAs(kind, hostile(name))
          const shown = kind === 'ntfy' ? body : String(parsed(body).text)
          expect(shown.split('\n')).toHaveLength(2)
          // biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for them
          expect(shown).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]/)
          if (kind === 'slack') expect(shown).not.toMatch(/[<>]|@(?!\u200b)/)
          for (const value of Object.values(headers)) expect(value).toMatch(/^[\x20-\x7e]*$/)
        }
      }),
    )
  })
})

test('Telegram gets the chat of its URL, and plain text', () => {
  expect(parsed(postedAs('telegram').body)).toEqual({ chat_id: '-100', text: textOf(message, now) })
})

test('ntfy gets a title and a priority', () => {
  expect(postedAs('ntfy').headers).toMatchObject({ title: 'pgbosun: PROBLEM backup-overdue', priority: 'high' })
  expect(postedAs('ntfy', { ...message, event: 'resolved' }).headers).toMatchObject({ priority: 'default' })
})

test('a program gets everything, with a key that is the same for the same message, and a signature', () => {
  const { body, headers } = postedAs('json', message, 'a secret')
  expect(parsed(body)).toEqual({
    ...{ event: 'opened', key: message.key, at: now.toISOString(), schedule: null, text: textOf(message, now) },
    ...message.condition,
  })
  expect(headers['idempotency-key']).toBe(`${message.key}/opened`)
  const [t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers['pgbosun-signature'] ?? '')?.slice(1) ?? []
  expect(Number(t) * 1000).toBe(now.getTime())
  expect(v1).toBe(createHmac('sha256', 'a secret').update(`${t}.${body}`).digest('hex'))
  expect(postedAs('json').headers).not.toHaveProperty('pgbosun-signature')
})
