/** The story that the README begins with: what four commands print on an empty server. */
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sampleArgs, sampleEnv } from './sample.ts'

const root = join(import.meta.dirname, '..')

/** The commands of the story. Pipes cut what is longer than a first screen. */
const story = [
  'pgbosun up | grep changes',
  'pgbosun up | tail -n 1',
  'pgbosun backup',
  'pgbosun restore latest --into games_copy --yes | tail -n 1',
]

/**
 * Runs the story, and returns its lines: each command after `$ `, then what it printed.
 * @param url of the database of the sample, which does not exist yet
 * @param dir an empty folder, for the store and the program
 */
export async function recordTranscript(url: string, dir: string): Promise<string[]> {
  const bin = join(dir, 'bin')
  mkdirSync(bin)
  writeFileSync(
    join(bin, 'pgbosun'),
    `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'dist/pgbosun.cjs')}' "$@"\n`,
  )
  chmodSync(join(bin, 'pgbosun'), 0o755)
  const env: Record<string, string> = { ...sampleEnv(url, join(dir, 'backups')), PGBOSUN_CONFIG: sampleArgs[1]! }
  const lines: string[] = []
  for (const command of story) {
    const { stdout } = await promisify(execFile)('bash', ['-o', 'pipefail', '-c', command], {
      env: { ...env, PATH: `${bin}:${env.PATH}` },
    })
    lines.push(`$ ${command}`, ...stdout.trimEnd().split('\n'))
  }
  return lines
}

/** What two recordings have in common: without ids, sizes and durations. */
export const withoutFigures = (line: string): string =>
  line
    .replace(/\d{8}T\d{6}Z-[0-9a-f]{8}/g, 'ID')
    .replace(/\d[\d.]* (kB|MB|ms|s)\b/g, 'N $1')
    .replace(/N m?s\b/g, 'N s')

const [left, top, lineHeight, charWidth] = [20, 52, 22, 8.43]

/** The lines as a picture of a terminal, in which they appear one after the other where motion is wanted. */
export function renderTranscript(lines: readonly string[]): string {
  const width = Math.ceil(left * 2 + Math.max(...lines.map(({ length }) => length)) * charWidth)
  const height = top + lines.length * lineHeight + 4
  const rows = lines.map((line, i) => {
    const kind = line.startsWith('$ ') ? 'command' : 'output'
    const delay = (lines.slice(0, i + 1).filter((one) => one.startsWith('$ ')).length * 1.1 + i * 0.12).toFixed(2)
    return `<text class="${kind}" x="${left}" y="${top + i * lineHeight}" style="animation-delay:${delay}s" xml:space="preserve">${escaped(line)}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" role="img" aria-labelledby="title">
<title id="title">pgbosun makes an empty PostgreSQL ready, finds nothing to do, makes a backup and restores it</title>
<style>
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #c9d1d9 }
.command { fill: #7ee787; font-weight: 600 }
@media (prefers-reduced-motion: no-preference) {
  text { opacity: 0; animation: appear 0.1s forwards }
  @keyframes appear { to { opacity: 1 } }
}
</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<circle cx="22" cy="20" r="5" fill="#ff5f57"/><circle cx="40" cy="20" r="5" fill="#febc2e"/><circle cx="58" cy="20" r="5" fill="#28c840"/>
${rows.join('\n')}
</svg>
`
}

const escaped = (text: string) => text.replace(/[&<>]/g, (char) => `&#${char.charCodeAt(0)};`)
