/** How src/cli/main.ts becomes one file that starts fast (docs/decisions/001-bundle-and-code-cache.md). */
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type BuildOptions, type BuildResult, build, type Plugin } from 'esbuild'
import { configSchema } from '../src/config/schema.ts'

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
  format: 'cjs',
  platform: 'node',
  target: 'node24',
  minifyWhitespace: true,
  minifySyntax: true,
  // not minifyIdentifiers: the driver names its errors by their class, and a stack trace should be readable
  legalComments: 'external',
  // import() of a builtin becomes require(): the namespace of an ES module calls every lazy getter, 20 ms for node:http
  supported: { 'dynamic-import': false },
  metafile: true,
  logLevel: 'warning',
} satisfies BuildOptions

/**
 * Bundles an entry point into one CommonJS file. Our own `import()` stays lazy inside it: a module that is only imported
 * dynamically is evaluated at its first import. The version becomes `PGBOSUN_VERSION`.
 */
export async function bundle(
  entry: string,
  outfile: string,
  version: string,
  plugins: Plugin[] = [],
): Promise<BuildResult<typeof options>> {
  const result = await build({
    ...options,
    entryPoints: [entry],
    outfile,
    // node-cron looks for its daemon's file beside itself when it is loaded; we never use that
    define: {
      PGBOSUN_VERSION: JSON.stringify(version),
      PGBOSUN_DEFAULTS: JSON.stringify(configSchema.parse({})),
      'import.meta.url': '"file:///pgbosun"',
      navigator: 'undefined',
    },
    inject: [join(import.meta.dirname, 'performance.js')],
    plugins: [...plugins, parserApart, noPinoTransports, lightBuiltins],
  })
  writeFileSync(outfile, inAscii(readFileSync(outfile, 'utf8')))
  return result
}

/** The loader reads the bundle as latin1. esbuild escapes strings, but leaves regular expressions as they are. */
const inAscii = (text: string) =>
  text.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

/**
 * Leaves out what `migrate` and `wait` never load without a configuration: the other commands, the formats of other tools, and
 * everything that reads one.
 * The loader starts this bundle for nothing else.
 */
export const plainEntry: Plugin = {
  name: 'plain-entry',
  setup({ onResolve, onLoad }) {
    const isPart = (path: string) => /^\.\/commands\/(migrate|wait)\.ts$/.test(path)
    const importers =
      /[\\/]src[\\/](cli[\\/]commands|up[\\/](migrate(-all)?|targets)|config[\\/]load|formats[\\/]open)\.ts$/
    onResolve({ filter: /^\.\/[\w/-]+\.ts$/ }, ({ path, importer, kind }) =>
      kind === 'dynamic-import' && !isPart(path) && importers.test(importer)
        ? { path, namespace: 'left-out' }
        : undefined,
    )
    onLoad({ filter: /.*/, namespace: 'left-out' }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(`${path} is not in plain.js: the loader should have started main.js`)})`,
    }))
  },
}

/** The parser for the linter stays a separate file, with its WASM beside it, so that no other command pays for it. */
const parserApart: Plugin = {
  name: 'parser-apart',
  setup({ onResolve }) {
    onResolve({ filter: /^libpg-query$/ }, () => ({ path: './pg-query.js', external: true }))
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
    // pino is loaded with the first line that is logged
    onResolve({ filter: /^pino$/ }, ({ namespace }) =>
      namespace === 'lazy-package' ? undefined : { path: 'pino', namespace: 'lazy-package' },
    )
    onLoad({ filter: /.*/, namespace: 'lazy-package' }, ({ path }) => ({
      contents: `module.exports = { get ${path}() { return require('${path}').${path} } }`,
      resolveDir: import.meta.dirname,
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
