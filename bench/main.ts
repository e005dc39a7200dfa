/** Runs the benchmarks named as arguments and prints Markdown; see bench/README.md. */
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type Cluster, type Link, withCluster, withLatency } from './cluster.ts'
import { pgbosun } from './programs.ts'
import { type Race, runRace } from './rounds.ts'
import { apply } from './suites/apply.ts'
import { backup } from './suites/backup.ts'
import { importRows } from './suites/import.ts'
import { noop } from './suites/noop.ts'
import { restore } from './suites/restore.ts'
import { seed } from './suites/seed.ts'
import type { Setting } from './suites/setting.ts'
import { start } from './suites/start.ts'
import { up } from './suites/up.ts'
import { renderRace } from './table.ts'

/** Every benchmark; `distant`: also with latency. */
const suites: Record<string, { race: (setting: Setting) => Promise<Race>; rounds: number; distant: boolean }> = {
  start: { race: start, rounds: 11, distant: false },
  noop: { race: noop, rounds: 11, distant: true },
  up: { race: up, rounds: 11, distant: true },
  apply: { race: apply, rounds: 3, distant: true },
  backup: { race: backup, rounds: 3, distant: false },
  restore: { race: restore, rounds: 3, distant: false },
  seed: { race: seed, rounds: 5, distant: false },
  import: { race: importRows, rounds: 3, distant: false },
}

type Options = { names: string[]; rounds: number | undefined; latencyMs: number; builds: Setting['builds'] }

function readOptions(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      latency: { type: 'string', default: '5' },
      also: { type: 'string', multiple: true, default: [] },
    },
  })
  const unknown = positionals.find((name) => !Object.hasOwn(suites, name))
  if (unknown !== undefined) throw new Error(`there is no benchmark ${unknown}, only ${Object.keys(suites).join(', ')}`)
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))
    throw new Error('--rounds is a number from 1 on')
  const others = values.also.map((program, i) => ({ name: `also ${i + 1}`, program: resolve(program) }))
  return {
    names: positionals.length > 0 ? positionals : Object.keys(suites),
    rounds,
    latencyMs: Number(values.latency),
    builds: [{ name: 'pgbosun', program: pgbosun }, ...others],
  }
}

const load = () =>
  loadavg()
    .map((average) => average.toFixed(1))
    .join(' ')

async function run({ names, rounds, latencyMs, builds }: Options, cluster: Cluster, dir: string): Promise<void> {
  console.log(
    `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.versions.node}, PostgreSQL ${cluster.version}, load ${load()}\n`,
  )
  for (const { name, program } of builds.slice(1)) console.log(`${name}: ${program}\n`)
  for (const name of names) {
    const suite = suites[name]!
    const race = async (link: Link | undefined) => {
      const entered = await suite.race({ cluster, dir, builds, link })
      console.log(renderRace(entered, await runRace(entered, rounds ?? suite.rounds, join(dir, 'log'))))
    }
    await race(undefined)
    if (suite.distant && latencyMs > 0) await withLatency(cluster, latencyMs, race)
  }
  console.log(`load at the end ${load()}`)
}

const dir = mkdtempSync(join(tmpdir(), 'pgbosun-bench-'))
try {
  const options = readOptions()
  await withCluster((cluster) => run(options, cluster, dir))
} catch (error) {
  console.error(`error: ${(error as Error).message}`)
  process.exitCode = 1
} finally {
  rmSync(dir, { recursive: true, force: true })
}
