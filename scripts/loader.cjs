#!/usr/bin/env node
'use strict'
// Starts the program from a code cache that was written after a complete run (docs/decisions/001-bundle-and-code-cache.md).
// Without a cache, or with one from another Node, it just compiles.

if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(`error: pgbosun needs Node 24 or newer; this is ${process.version}\nhint:  install Node 24\n`)
  process.exit(2)
}

const { openSync, readFileSync, readSync, renameSync, writeFileSync } = require('node:fs')
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
const cacheName = caches[process.argv[2]] ?? 'up'

function readCache(file) {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}

/** A script is plain ASCII: read as latin1 it stays a one-byte string. */
function compile(name, cache) {
  const filename = `${__dirname}/${name}.js`
  return new Script(readFileSync(filename, 'latin1'), {
    filename,
    cachedData: writeCacheTo === undefined ? readCache(`${__dirname}/${cache}.cache`) : undefined,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  })
}

const script = compile('main', cacheName)

if (writeCacheTo !== undefined) {
  process.on('exit', () => {
    writeFileSync(`${writeCacheTo}.part`, script.createCachedData())
    renameSync(`${writeCacheTo}.part`, writeCacheTo)
  })
}

/**
 * The parts of the program by name (`packParts` in bundle.ts), and the modules of those that were called. Those that most runs use are in
 * `main.js`. Of each other one it has the place in `more.js`, 2.5 MB long, of which only that is read.
 */
const parts = script.runInThisContext()
const modules = new Map()
let more

function partOf(name) {
  if (Array.isArray(parts[name])) parts[name] = readPart(...parts[name])
  return parts[name]
}

function readPart(at, length) {
  const filename = `${__dirname}/more.js`
  more ??= openSync(filename)
  const bytes = Buffer.allocUnsafeSlow(length)
  if (readSync(more, bytes, 0, length, at) < length) throw new Error(`${filename} is incomplete: install pgbosun again`)
  return new Script(bytes.latin1Slice(), {
    filename,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  }).runInThisContext()
}

function load(name) {
  let module = modules.get(name)
  if (module === undefined) {
    const part = partOf(name)
    if (part === undefined) return require(name)
    module = { exports: {}, folder: __dirname }
    modules.set(name, module)
    part.call(module.exports, module.exports, load, module)
  }
  return module.exports
}

load('./main.js')
