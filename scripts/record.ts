/** Records the story of the README again, on a throwaway server: the block of text in README.md, and the picture docs/transcript.svg. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sampleDatabase } from './sample.ts'
import { findServerBinaries, startServer } from './server.ts'
import { recordTranscript, renderTranscript } from './transcript.ts'

const root = join(import.meta.dirname, '..')
const [binDir] = findServerBinaries()
if (binDir === undefined) throw new Error('no PostgreSQL server found: run ./scripts/quickstart, which installs one')
const server = await startServer(binDir)
const dir = mkdtempSync(join(tmpdir(), 'pgbosun-transcript-'))
try {
  const lines = await recordTranscript(server.url(sampleDatabase), dir)
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const block = /```console\n[\s\S]*?```/
  if (!block.test(readme)) throw new Error('README.md has no block ```console')
  writeFileSync(
    join(root, 'README.md'),
    readme.replace(block, () => `\`\`\`console\n${lines.join('\n')}\n\`\`\``),
  )
  writeFileSync(join(root, 'docs/transcript.svg'), renderTranscript(lines))
  console.log(lines.join('\n'))
} finally {
  await server.remove()
  rmSync(dir, { recursive: true, force: true })
}
