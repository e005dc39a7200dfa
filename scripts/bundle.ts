/** How src/cli/main.ts becomes one file that starts fast (docs/decisions/001-bundle-and-code-cache.md). */
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { type BuildOptions, type BuildResult, build, type Plugin, transform } from 'esbuild'
import { configSchema } from '../src/config/schema.ts'
import { compileSchema } from './schema-rules.ts'

const require = createRequire(import.meta.url)

/** Builtins that take 1 to 10 ms to load and that most runs never use: each is loaded when something in it is first used. */
const lazyBuiltins = [
  'child_process',
  'http',
  'http2',
  'https',
  'readline',
  'readline/promises',
  'tls',
  'worker_threads',
  'zlib',
]

/** What our dependencies actually use of the builtins that they load at start. */
const forDependencies: Record<string, string> = {
  assert: `module.exports = (...args) => require('node:assert')(...args)`,
  perf_hooks: 'module.exports = { performance }',
  worker_threads: 'module.exports = { isMainThread: true }',
}

const options = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  minifyWhitespace: true,
  minifySyntax: true,
  // not minifyIdentifiers: the driver names its errors by their class, and a stack trace should be readable
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
} satisfies BuildOptions

// import() of a builtin becomes require(): the namespace of an ES module calls every lazy getter, 20 ms for node:http
const withoutDynamicImport = { 'dynamic-import': false }

/** Bundles an entry point into one CommonJS file. */
export async function bundle(entry: string, outfile: string): Promise<BuildResult<typeof options>> {
  const result = await build({
    ...options,
    format: 'cjs',
    supported: withoutDynamicImport,
    entryPoints: [entry],
    outfile,
    plugins: [lightBuiltins],
  })
  writeFileSync(outfile, inAscii(readFileSync(outfile, 'utf8')))
  return result
}

/** The program in parts, each the text of a function, by its name. */
export type Program = {
  metafile: BuildResult<typeof options>['metafile']
  /** What esbuild puts in front of every part, once. */
  helpers: string
  parts: Map<string, string>
}

/**
 * Bundles the program into parts; `./main.js` is the first. The loader calls a part at its first `require`, so one that a run does not use
 * is neither run nor compiled, nor is it in the code cache of that run. The parts are esbuild's chunks: what a dynamic import separates.
 * The version becomes `PGBOSUN_VERSION`, the folder that the loader found the program in `PGBOSUN_FOLDER`.
 */
export async function packParts(entry: string, outdir: string, version: string): Promise<Program> {
  const result = await build({
    ...options,
    format: 'esm',
    splitting: true,
    write: false,
    entryPoints: { main: entry, pino: 'pino' },
    outdir,
    // node-cron looks for its daemon's file beside itself when it is loaded; we never use that
    define: {
      PGBOSUN_VERSION: JSON.stringify(version),
      PGBOSUN_FOLDER: 'module.folder',
      'import.meta.url': '"file:///pgbosun"',
      navigator: 'undefined',
    },
    inject: [join(import.meta.dirname, 'performance.js')],
    plugins: [compiledSchema, packagesApart, awsApart, noPinoTransports, lightBuiltins],
  })
  const helpers = new Map<string, string>()
  const parts = new Map<string, string>()
  for (const { path, text } of result.outputFiles) {
    const { code } = await transform(withOwnExports(text), {
      format: 'cjs',
      platform: 'node',
      target: 'node24',
      minifyWhitespace: true,
      supported: withoutDynamicImport,
    })
    parts.set(`./${basename(path)}`, `function(exports,require,module){${withoutHelpers(code, helpers)}}`)
  }
  // esbuild's own would copy the exports
  helpers.set('__toCommonJS', 'var __toCommonJS=mod=>__defProp(mod,"__esModule",{value:true});')
  // esbuild's own makes a getter for every export of a builtin
  helpers.set('__toESM', 'var __toESM=(mod,isNode)=>isNode||!mod?.__esModule?{__proto__:mod,default:mod}:mod;')
  return { metafile: result.metafile, helpers: [...helpers.values()].join(''), parts }
}

/** Writes a script whose value is an object with all parts. */
export function writeParts(file: string, { helpers, parts }: Program): void {
  writeFileSync(file, scriptOf(helpers, `{${entriesOf(parts)}}`))
}

/**
 * Writes those parts into `file` that are wanted. The others come after one another in `rest`, each a script of its own, so that none is
 * read that is not called; in place of its function `file` has where it begins, and its length.
 */
export function writeDivided(
  file: string,
  rest: string,
  { helpers, parts }: Program,
  isWanted: (name: string) => boolean,
): void {
  let text = ''
  const entries = [...parts].map(([name, code]): [string, string] => {
    if (isWanted(name)) return [name, code]
    const script = scriptOf(helpers, code)
    const place = `[${text.length},${script.length}]`
    text += script
    return [name, place]
  })
  writeFileSync(rest, text)
  writeFileSync(file, scriptOf(helpers, `{${entriesOf(entries)}}`))
}

const scriptOf = (helpers: string, value: string) => inAscii(`(()=>{${helpers}return ${value}})()\n`)

const entriesOf = (parts: Iterable<[string, string]>) =>
  [...parts].map(([name, code]) => `${JSON.stringify(name)}:${code}`).join(',\n')

/** Takes the helpers, which esbuild puts in front of every part, out of one. Without this the code cache is a tenth larger. */
function withoutHelpers(code: string, helpers: Map<string, string>): string {
  const end = code.indexOf('var stdin_exports={};')
  if (end < 0) return code
  for (const helper of code.slice(0, end).split(/(?=var __\w+=)/)) {
    const name = /^var (__\w+)=/.exec(helper)?.[1]
    if (name === undefined || (helpers.get(name) ?? helper) !== helper) return code
    helpers.set(name, helper)
  }
  return code.slice(end)
}

/** A CommonJS package that is imported dynamically is a chunk whose only export is `default`; its importers expect the package itself. */
const withOwnExports = (chunk: string) => chunk.replace(/export default (require_\w+\(\));\s*$/, 'module.exports=$1;')

/** The loader reads the script as latin1. esbuild escapes strings, but leaves regular expressions as they are. */
const inAscii = (text: string) =>
  text.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** Puts the schema as data where the sources have none. */
const compiledSchema: Plugin = {
  name: 'compiled-schema',
  setup({ onLoad }) {
    const config = /[\\/]src[\\/]config[\\/](compiled|defaults)\.ts$/
    onLoad({ filter: config }, ({ path }) => {
      const name = basename(path, '.ts')
      const value = name === 'compiled' ? compileSchema() : configSchema.parse({})
      return { contents: `export const ${name} = JSON.parse(${JSON.stringify(JSON.stringify(value))})` }
    })
  },
}

/** Packages that stay separate files, so that no run pays for them that does not use them. The parser has its WASM beside it. */
const filesOf: Record<string, string> = { 'libpg-query': './pg-query.js', 'age-encryption': './age.js' }

const packagesApart: Plugin = {
  name: 'packages-apart',
  setup({ onResolve }) {
    const filter = new RegExp(`^(${Object.keys(filesOf).join('|')})$`)
    onResolve({ filter }, ({ path }) => ({ path: filesOf[path]!, external: true }))
  },
}

/** So does the AWS SDK, which is as large as everything else together. */
const awsApart: Plugin = {
  name: 'aws-apart',
  setup({ onResolve }) {
    onResolve({ filter: /^(\.|\.\.\/config)\/aws\.ts$/ }, () => ({ path: './aws.js', external: true }))
  },
}

const lightBuiltins: Plugin = {
  name: 'light-builtins',
  setup({ onResolve, onLoad }) {
    const filter = new RegExp(`^(node:)?(${[...lazyBuiltins, ...Object.keys(forDependencies)].join('|')})$`)
    onResolve({ filter }, ({ path: specifier, namespace, resolveDir }) => {
      const path = specifier.replace(/^node:/, '')
      if (namespace === 'for-dependencies' || namespace === 'lazy') return { path: specifier, external: true }
      if (path in forDependencies && /[\\/]node_modules[\\/]/.test(resolveDir))
        return { path, namespace: 'for-dependencies' }
      return lazyBuiltins.includes(path) ? { path, namespace: 'lazy' } : undefined
    })
    // pino is a part of its own, loaded with the first line that is logged
    onResolve({ filter: /^pino$/ }, ({ kind }) =>
      kind === 'entry-point' ? undefined : { path: 'pino', namespace: 'lazy-part' },
    )
    onResolve({ filter: /^\.\/pino\.js$/ }, ({ namespace, path }) =>
      namespace === 'lazy-part' ? { path, external: true } : undefined,
    )
    onLoad({ filter: /.*/, namespace: 'lazy-part' }, ({ path }) => ({
      contents: `module.exports = { get ${path}() { return require('./${path}.js').${path} } }`,
    }))
    onLoad({ filter: /.*/, namespace: 'for-dependencies' }, ({ path }) => ({ contents: forDependencies[path] ?? '' }))
    onLoad({ filter: /.*/, namespace: 'lazy' }, ({ path }) => ({ contents: lazyModule(path) }))
  },
}

/** An object with a getter for every export of the builtin; esbuild's import helpers never read a getter before its use. */
function lazyModule(name: string): string {
  const keys = Object.keys(require(`node:${name}`) as object).map((key) => JSON.stringify(key))
  return `module.exports = { ${keys.map((key) => `get ${key}() { return require('node:${name}')[${key}] }`).join(', ')} }`
}

/** pino's transports run in worker threads and look for files beside them; we never use one. */
const noPinoTransports: Plugin = {
  name: 'no-pino-transports',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\/(lib\/)?transport$/ }, ({ importer }) =>
      /[\\/]node_modules[\\/]pino[\\/]/.test(importer) ? { path: 'pino-transport', namespace: 'none' } : undefined,
    )
    onLoad({ filter: /.*/, namespace: 'none' }, () => ({
      contents: 'module.exports = () => { throw new Error("pino transports are not part of this program") }',
    }))
  },
}
