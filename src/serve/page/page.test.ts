import { describe, expect, test } from 'vitest'
import { candidate, states, thousand } from '../../../test/support/overviews.ts'
import { renderOverview } from '../../check/overview-text.ts'
import { pageAnswer } from './answer.ts'
import { renderPage } from './page.ts'

/** Names that would be markup, commands or invisible. */
const hostile = `"><script>alert(1)</script>' onload='x\n$(reboot)\u202e`

/** What a page says, without its tags. */
const textOf = (page: string) =>
  page
    .replace(/[\s\S]*<body>/, '')
    .replaceAll(/<title>[^<]*<\/title>/g, '')
    .replaceAll(/<\/(dt|dd|li|h1|h2|h3|p|td|tr|pre)>/g, '\n')
    .replaceAll(/<[^>]*>/g, '')
    .replaceAll(
      /&(lt|gt|amp|quot|#39);/g,
      (_, name: string) => ({ lt: '<', gt: '>', amp: '&', quot: '"' })[name] ?? "'",
    )
    .replaceAll(/\n\s*\n+/g, '\n')
    .trim()

describe.each(Object.entries(states))('the page of a database that is %s', (_, overview) => {
  test('says the same as status', () => {
    const page = textOf(renderPage(overview))
    expect(page).toMatchSnapshot()
    const screen = renderOverview(overview)
    expect(screen.join('\n')).toMatchSnapshot()
    expect(screen.filter((line) => line.length > 80)).toEqual([])
    const flat = (text: string) => text.replaceAll(/\s+/g, ' ')
    for (const line of screen.slice(2, screen.indexOf('What do I do now?')).filter((one) => !one.startsWith('  ')))
      expect(flat(page)).toContain(line)
  })
})

describe('a page', () => {
  test('has no script, asks for nothing, and its style is the only one that the policy allows', async () => {
    const { body, headers } = pageAnswer(states.safe)
    expect(body).not.toMatch(/<script|<link|<img|<iframe|\son\w+=|style=|url\(|@import|src=|href=/i)
    expect(headers['content-security-policy']).toMatch(
      /^default-src 'none'; style-src 'sha256-[\w+/=]{44}'; base-uri 'none'; /,
    )
    expect([...body.matchAll(/<style>/g)].length).toBe(1)
  })

  test('shows hostile names as text, whoever has chosen them', () => {
    const [condition] = states.notSafe.conditions
    const [backup] = states.safe.backups
    const page = renderPage({
      ...states.safe,
      database: hostile,
      conditions: [{ ...condition!, message: hostile, hint: hostile, database: hostile, schedule: hostile }],
      closed: [{ ...condition!, message: hostile, until: '2026-03-01T00:00:00.000Z' }],
      declared: {
        lines: [hostile],
        pending: [hostile],
        migrations: [{ name: hostile, appliedAt: hostile, durationMs: 1 }],
        events: [{ at: hostile, actor: hostile, command: hostile, phase: 'finished', exitCode: 1, changes: 1 }],
      },
      backups: [{ ...backup!, database: hostile, unknown: hostile, store: hostile, listed: [candidate(hostile)] }],
      unlooked: [hostile],
    })
    expect(page).not.toContain('<script')
    expect(page).not.toContain('\u202e')
    expect(page).not.toMatch(/="[^"]*\n/)
    expect(page.match(/<h1>/g)).toHaveLength(1)
    expect(page).toContain('&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#39; onload=&#39;x\\u000a$(reboot)\\u202e')
  })

  test('of a thousand backups costs at most 20 ms', () => {
    const page = thousand()
    renderPage(page())
    const times = Array.from({ length: 10 }, () => {
      const before = process.cpuUsage()
      renderPage(page())
      const { user, system } = process.cpuUsage(before)
      return (user + system) / 1000
    })

    expect(Math.min(...times)).toBeLessThan(20)
  })
})
