/**
 * Builds dist/: the program as one file, its loader, code caches and the licences of what is bundled.
 * `--quick` leaves the code caches out.
 */
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { bundle, packParts, writeDivided, writeParts } from './bundle.ts'
import { warmUp } from './warm-up.ts'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }

process.chdir(root)
rmSync(dist, { recursive: true, force: true })
mkdirSync(dist)
// esbuild has already printed what is wrong
const program = await packParts('src/cli/main.ts', dist, version).catch(() => process.exit(1))
writeParts(join(dist, 'main.js'), program)
const folder = await bundle('src/store/folder-program.ts', join(dist, 'folder-program.js')).catch(() => process.exit(1))
const aws = await bundle('src/config/aws.ts', join(dist, 'aws.js')).catch(() => process.exit(1))
const parser = 'node_modules/libpg-query/wasm'
const chunk = await bundle(`${parser}/index.cjs`, join(dist, 'pg-query.js')).catch(() => process.exit(1))
const age = await bundle('age-encryption', join(dist, 'age.js')).catch(() => process.exit(1))
copyFileSync(`${parser}/libpg-query.wasm`, join(dist, 'libpg-query.wasm'))
// the package is "type": "module", what is here is CommonJS
writeFileSync(join(dist, 'package.json'), '{ "type": "commonjs" }\n')
writeFileSync(
  join(dist, 'LICENSES.txt'),
  licences(
    Object.keys({
      ...program.metafile.inputs,
      ...chunk.metafile.inputs,
      ...age.metafile.inputs,
      ...folder.metafile.inputs,
      ...aws.metafile.inputs,
    }),
  ),
)
copyFileSync('scripts/loader.cjs', join(dist, 'pgbosun.cjs'))
if (!process.argv.includes('--quick')) {
  await warmUp(join(dist, 'pgbosun.cjs'), (used) => {
    writeDivided(join(dist, 'main.js'), join(dist, 'more.js'), program, (name) => used.has(name))
  })
}

for (const file of globSync('*', { cwd: dist }).sort()) {
  const { size } = statSync(join(dist, file))
  console.log(`${relative(root, join(dist, file)).padEnd(24)} ${String(Math.ceil(size / 1024)).padStart(5)} kB`)
}

/** The licence texts of all packages that are in the bundle, because most of them require it. */
function licences(inputs: string[]): string {
  const folders = inputs
    .map((input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0])
    .filter((folder) => folder !== undefined)
  return [...new Set(folders)]
    .sort()
    .map((folder) => {
      const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>
      const file = globSync(['LICEN[CS]E*', 'UNLICENSE*', 'license*'], { cwd: folder })[0]
      const text =
        file !== undefined && existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8').trim() : ''
      return `${manifest.name} ${manifest.version} (${manifest.license})\n\n${text}\n`
    })
    .join(`\n${'-'.repeat(80)}\n\n`)
}
