import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Overview } from '../src/check/overview.ts'
import { pageAnswer } from '../src/serve/page/answer.ts'
import { states } from './support/overviews.ts'

const script = join(import.meta.dirname, '../scripts/chromium.sh')
const found = spawnSync('bash', [script], { encoding: 'utf8' })
const program = found.status === 0 ? found.stdout.trim() : undefined
if (program === undefined) console.warn(`SKIPPED, the page in Chromium: ${found.stderr.trim()}`)

let browser: Browser
let server: Server
let shown: Overview = states.safe

/** What measure-page.js finds in the browser. */
type Measured = { over: number; pale: string[] }
const measure = readFileSync(join(import.meta.dirname, 'support/measure-page.js'), 'utf8')

/** Every request that the browser made. */
const asked: string[] = []

beforeAll(async () => {
  if (program === undefined) return
  server = createServer((request, response) => {
    asked.push(request.url ?? '')
    const { body, headers } = pageAnswer(shown)
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', ...headers })
    response.end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox', '--disable-gpu'] })
}, 60_000)

afterAll(async () => {
  await browser?.close()
  server?.close()
})

type Look = { width?: number; dark?: boolean }

async function withPage<T>(
  overview: Overview,
  { width = 1000, dark = false }: Look,
  use: (page: Page) => Promise<T>,
): Promise<T> {
  shown = overview
  const page = await browser.newPage({
    ...{ viewport: { width, height: 800 }, colorScheme: dark ? 'dark' : 'light', javaScriptEnabled: true },
  })
  const problems: string[] = []
  page.on('console', (message) => problems.push(message.text()))
  page.on('pageerror', (error) => problems.push(error.message))
  try {
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const result = await use(page)
    // what the policy forbids would be told here, but for the icon that browsers ask for by themselves
    expect(problems.filter((text) => !text.includes('favicon'))).toEqual([])
    return result
  } finally {
    await page.close()
  }
}

describe.skipIf(program === undefined)('the page in Chromium', () => {
  test.each(Object.entries(states))('shows a database that is %s', async (_, overview) => {
    await withPage(overview, {}, async (page) => {
      expect(await page.locator('body').innerText()).toMatchSnapshot()
      expect(await page.title()).toBe(`${overview.verdict}: shop`)
    })
  })

  test.each(Object.entries(states))('is readable at 360 px, light and dark, when it is %s', async (_, overview) => {
    for (const dark of [false, true])
      await withPage(overview, { width: 360, dark }, async (page) => {
        const { over, pale } = await page.evaluate<Measured>(measure)
        expect(over, 'wider than the screen').toBe(0)
        expect(pale, `contrast below 4.5, dark: ${dark}`).toEqual([])
      })
  })

  test('is a document that a screen reader can follow', async () => {
    await withPage(states.notSafe, {}, async (page) => {
      expect(await page.locator('body').ariaSnapshot()).toMatchSnapshot()
    })
  })

  test('asks for nothing but itself', () => {
    expect(asked.filter((path) => path !== '/' && path !== '/favicon.ico')).toEqual([])
  })

  test('is shown in docs/ as it is', async () => {
    const path = join(import.meta.dirname, '../docs/page.png')
    await withPage(states.notSafe, { width: 640 }, async (page) => {
      const picture = await page.screenshot({ clip: { x: 0, y: 0, width: 640, height: 760 }, fullPage: true })
      expect(picture.length).toBeLessThan(120_000)
      if (process.env.BOSUN_TEST_PICTURE) writeFileSync(path, picture)
    })
    const header = readFileSync(path).subarray(0, 24)
    expect([header.toString('latin1', 1, 4), header.readUInt32BE(16), header.readUInt32BE(20)]).toEqual([
      'PNG',
      640,
      760,
    ])
  })
})
