import { createHash } from 'node:crypto'
import type { Overview } from '../../check/overview.ts'
import { renderPage } from './page.ts'
import { style } from './style.ts'

const hash = createHash('sha256').update(style).digest('base64')

/** Nothing may be loaded, run, sent or framed; the one style is known by its hash. */
const policy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

/** The page with the headers it needs. */
export const pageAnswer = (overview: Overview): { body: string; headers: Record<string, string> } => ({
  body: renderPage(overview),
  headers: { 'content-security-policy': policy, 'referrer-policy': 'no-referrer' },
})
