import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'

/** The order of the layers (CONTRIBUTING.md): a folder imports itself and what is to its left; features never import each other. */
const layers = [
  ['errors', 'log', 'plan', 'text', 'units'],
  ['config', 'sql', 'machine'],
  ['postgres'],
  ['programs', 'store'],
  ['state', 'formats', 'lint', 'archive'],
  ['migrate', 'roles', 'seed', 'backup', 'restore', 'check'],
  ['run'],
  ['up'],
  ['serve'],
  ['cli'],
]

const root = join(import.meta.dirname, '../src')
const files = globSync('**/*.ts', { cwd: root })
  .filter((file) => !file.endsWith('.test.ts'))
  .sort()
  .map((file) => ({ file, source: readFileSync(join(root, file), 'utf8') }))

/** Everything a file imports: `import … from`, `export … from`, `import()`, types too. */
const importsOf = (source: string) =>
  [
    ...source.matchAll(/^\s*(?:import|export)\b[^'"`;]*?from\s*'([^']+)'|^import\s*'([^']+)'|\bimport\(\s*'([^']+)'/gm),
  ].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? '')

const code = (source: string) => source.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')

/** `migrate/plan.ts` is in folder `migrate`, `plan.ts` is a folder of its own. */
const folderOf = (file: string) => (file.split('/')[0] ?? '').replace(/\.ts$/, '')
const layerOf = (folder: string) => layers.findIndex((layer) => layer.includes(folder))

/** Lines `file: what` of every file that breaks a rule. */
const offences = (rule: (file: string, source: string) => string[]) =>
  files.flatMap(({ file, source }) => rule(file, source).map((what) => `${file}: ${what}`))

describe('layers', () => {
  test('every folder has its place', () => {
    expect([...new Set(files.map(({ file }) => folderOf(file)))].filter((folder) => layerOf(folder) < 0)).toEqual([])
  })

  test('a folder imports itself and folders to its left, and features never import each other', () => {
    const bad = offences((file, source) =>
      importsOf(source)
        .filter((path) => path.startsWith('.'))
        .map((path) => folderOf(normalize(join(dirname(file), path))))
        .filter((to) => to !== folderOf(file) && layerOf(to) >= layerOf(folderOf(file)) && layerOf(folderOf(file)) > 0),
    )
    expect(bad).toEqual([])
  })

  test('the leftmost files import no folder', () => {
    const bad = offences((file, source) =>
      layerOf(folderOf(file)) > 0
        ? []
        : importsOf(source).filter((path) => path.startsWith('./') && layerOf(folderOf(path.slice(2))) > 0),
    )
    expect(bad).toEqual([])
  })

  test('there are no barrels', () => {
    expect(files.map(({ file }) => file).filter((file) => /(^|\/)index\.ts$/.test(file))).toEqual([])
  })
})

describe('pure files', () => {
  const pure =
    /\/(plan|diff|lint|conditions|health|scram|desired|scan|place|retention|schedule|choose|guard|drift|metrics|page)\.ts$/
  const isPure = (file: string) => pure.test(file) && !/^(cli|up)\//.test(file)

  test('import no I/O', () => {
    const io = (file: string) => (path: string) =>
      /^(postgres|execa|pino|node-cron)$|^node:/.test(path) && !(path === 'node:crypto' && file.endsWith('/scram.ts'))
    expect(offences((file, source) => (isPure(file) ? importsOf(code(source)).filter(io(file)) : []))).toEqual([])
  })

  test('read no clock, no randomness and no environment', () => {
    const impure =
      /\bDate\.now\b|\bnew Date\(\)|\bperformance\.|\bMath\.random\b|\brandomBytes\b|\brandomUUID\b|\bprocess\b\.|\bfetch\(/g
    expect(
      offences((file, source) => (isPure(file) ? [...code(source).matchAll(impure)].map(([match]) => match) : [])),
    ).toEqual([])
  })
})

describe('edges', () => {
  const uses = (what: RegExp, allowed: (file: string) => boolean) =>
    offences((file, source) => (allowed(file) ? [] : [...code(source).matchAll(what)].map(([match]) => match)))

  test('only config/ and cli/main.ts read the environment', () => {
    expect(
      uses(
        /\bprocess\.env\b|\benv\s*[,}].*=\s*process\b/g,
        (file) => folderOf(file) === 'config' || file === 'cli/main.ts',
      ),
    ).toEqual([])
  })

  test('only cli/ ends the process and writes to stdout', () => {
    expect(uses(/\bprocess\.(exit|exitCode|stdout)\b|\bconsole\.\w+/g, (file) => folderOf(file) === 'cli')).toEqual([])
  })

  test('only cli/streams.ts writes, so that all of it arrives', () => {
    expect(uses(/\bprocess\.std(out|err)\.(write|end)\b/g, (file) => file === 'cli/streams.ts')).toEqual([])
  })

  test('only cli/v8.ts calls process.exit, which may hang', () => {
    expect(uses(/\bprocess\.exit\(/g, (file) => file === 'cli/v8.ts')).toEqual([])
  })

  test('only cli/ and log.ts write to stderr', () => {
    expect(uses(/\bprocess\.stderr\b/g, (file) => folderOf(file) === 'cli' || file === 'log.ts')).toEqual([])
  })

  test('nothing decides by the words of our own messages', () => {
    // Whose words they are: Node's parseArgs, zod, node-cron, PostgreSQL's elog (never translated), names in a server's message.
    const foreign = [
      'cli/args.ts',
      'config/read.ts',
      'config/cron.ts',
      'roles/errors.ts',
      'postgres/ask.ts',
      'postgres/hints.ts',
      'postgres/pooler.ts',
    ]
    const asks =
      /\bmessage( [!=]== (?!undefined)|\.(includes|startsWith|endsWith|match|search)\((?!sqlstate))|\.(test|exec)\((\w+\.)*message\b/g
    expect(uses(asks, (file) => foreign.includes(file))).toEqual([])
  })

  test('only config/ and cli/ listen to signals or know the working directory', () => {
    expect(
      uses(/\bprocess\.((on|once)\((?!'exit')|cwd\()/g, (file) => ['cli', 'config'].includes(folderOf(file))),
    ).toEqual([])
  })
})
