#!/usr/bin/env node
'use strict'
// Starts the program from a code cache that was written after a complete run (docs/decisions/001-bundle-and-code-cache.md).
// Without a cache, or with one from another Node, it just compiles.

if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(`error: pgbosun needs Node 24 or newer; this is ${process.version}\nhint:  install Node 24\n`)
  process.exit(2)
}

const { readFileSync, renameSync, writeFileSync } = require('node:fs')
const { constants, Script } = require('node:vm')

/** The build's warm-up run sets this variable to get a new cache. It is removed here, because an unknown PGBOSUN_ variable is an error. */
const writeCacheTo = process.env.PGBOSUN_WRITE_CODE_CACHE
delete process.env.PGBOSUN_WRITE_CODE_CACHE

/**
 * A cache holds what one run has compiled, and loading time depends on its size: what ends soon has a small one. Any cache fits any
 * command; what is not in it is compiled when it is called.
 */
const caches = {
  migrate: 'migrate',
  wait: 'migrate',
  healthcheck: 'migrate',
  '--version': 'help',
  '--help': 'help',
  '-h': 'help',
}
const filename = `${__dirname}/main.js`
const cacheFile = `${__dirname}/${caches[process.argv[2]] ?? 'up'}.cache`

function readCache() {
  try {
    return readFileSync(cacheFile)
  } catch {
    return undefined
  }
}

// The script is plain ASCII: read as latin1 it stays a one-byte string.
const script = new Script(readFileSync(filename, 'latin1'), {
  filename,
  cachedData: writeCacheTo === undefined ? readCache() : undefined,
  importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
})

if (writeCacheTo !== undefined) {
  process.on('exit', () => {
    writeFileSync(`${writeCacheTo}.part`, script.createCachedData())
    renameSync(`${writeCacheTo}.part`, writeCacheTo)
  })
}

/** The parts of the program by name (`packParts` in bundle.ts), and the modules of those that were called. */
const parts = script.runInThisContext()
const modules = new Map()

function load(name) {
  let module = modules.get(name)
  if (module === undefined) {
    const part = parts[name]
    if (part === undefined) return require(name)
    module = { exports: {}, folder: __dirname }
    modules.set(name, module)
    part.call(module.exports, module.exports, load, module)
  }
  return module.exports
}

load('./main.js')
