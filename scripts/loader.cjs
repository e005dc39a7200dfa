#!/usr/bin/env node
'use strict'
// Starts the bundle from a code cache that was written after a complete run, which reduces start-up from 85 to 55 ms
// (docs/decisions/001-bundle-and-code-cache.md). Without a cache, or with one from another Node, it just compiles.

if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(`error: pgbosun needs Node 24 or newer; this is ${process.version}\nhint:  install Node 24\n`)
  process.exit(2)
}

const { existsSync, readFileSync, renameSync, writeFileSync } = require('node:fs')
const { constants, Script } = require('node:vm')

/** The build's warm-up run sets this variable to get a new cache. It is removed here, because an unknown PGBOSUN_ variable is an error. */
const writeCacheTo = process.env.PGBOSUN_WRITE_CODE_CACHE
delete process.env.PGBOSUN_WRITE_CODE_CACHE

/**
 * Loading time depends on size. `migrate` and `wait` without a configuration have a bundle of their own, a third of the size
 * (`plainEntry` in bundle.ts says what is left out).
 */
function isPlain([command, next = ''] = process.argv.slice(2)) {
  if (['--version', '--help', '-h'].includes(command)) return process.argv.length === 3
  if (command !== 'wait' && !(command === 'migrate' && (next === '' || next === 'up' || next.startsWith('-'))))
    return false
  return !(
    // a dry run lints what is pending
    (
      process.argv.some((word) => word.startsWith('--config') || word === '--dry-run') ||
      Object.keys(process.env).some((name) => name.startsWith('PGBOSUN_')) ||
      ['pgbosun.yaml', 'pgbosun.yml', 'pgbosun.json'].some((name) => existsSync(name))
    )
  )
}

const name = isPlain() ? 'plain' : 'main'
const filename = `${__dirname}/${name}.js`
const cacheFile = `${__dirname}/${name}.cache`

function readCache() {
  try {
    return readFileSync(cacheFile)
  } catch {
    return undefined
  }
}

// The bundle is plain ASCII: read as latin1 it stays a one-byte string.
const script = new Script(
  `(function (exports, require, module, __filename, __dirname) {${readFileSync(filename, 'latin1')}\n})`,
  {
    filename,
    cachedData: writeCacheTo === undefined ? readCache() : undefined,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  },
)

if (writeCacheTo !== undefined) {
  process.on('exit', () => {
    writeFileSync(`${writeCacheTo}.part`, script.createCachedData())
    renameSync(`${writeCacheTo}.part`, writeCacheTo)
  })
}

script.runInThisContext().call(exports, exports, require, module, filename, __dirname)
