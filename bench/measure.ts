import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A process to measure. */
export type Command = { argv: string[]; cwd: string; env: NodeJS.ProcessEnv }

/** What one process took. `quiet`: the machine had nothing else to do when it started. */
export type Measurement = { wallMs: number; cpuMs: number; quiet: boolean }

const timer = join(import.meta.dirname, 'time.sh')

/**
 * Runs a process to its end, once the machine is quiet or has had time to become so.
 * @throws when it fails, with the end of what it printed
 */
export async function measure(command: Command, logFile: string): Promise<Measurement> {
  const quiet = await quietMachine()
  const report = await run(['bash', timer, ...command.argv], command, logFile)
  const [user = 0, system = 0, wallUs = 0] = report.trim().split(/\s+/).map(Number)
  return { wallMs: wallUs / 1000, cpuMs: (user + system) * 1000, quiet }
}

/** Peak resident memory in MB; undefined where GNU time is not installed. */
export async function peakMemory(command: Command, logFile: string): Promise<number | undefined> {
  if (!existsSync('/usr/bin/time')) {
    await run(command.argv, command, logFile)
    return undefined
  }
  const report = `${logFile}.memory`
  await run(['/usr/bin/time', '-q', '-o', report, '-f', '%M', ...command.argv], command, logFile)
  return Number(readFileSync(report, 'utf8')) / 1024
}

/** Runs a process with its output in a file; resolves to what was written to descriptor 3. */
function run([program = '', ...args]: string[], { cwd, env }: Command, logFile: string): Promise<string> {
  const log = openSync(logFile, 'w')
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', log, log, 'pipe'] })
  closeSync(log)
  let report = ''
  child.stdio[3]?.on('data', (chunk) => {
    report += chunk
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) return resolve(report)
      reject(
        new Error(
          `${[program, ...args].join(' ')} ended with ${code ?? signal}:\n${readFileSync(logFile, 'utf8').slice(-4_000)}`,
        ),
      )
    })
  })
}

const sampleMs = 60
const patienceMs = 3_000

/** Waits until the processors have been 75 % idle for 60 ms, for at most 3 s. */
async function quietMachine(): Promise<boolean> {
  const until = performance.now() + patienceMs
  do {
    const before = processorTimes()
    await sleep(sampleMs)
    const after = processorTimes()
    if ((after.idle - before.idle) / (after.all - before.all || 1) >= 0.75) return true
  } while (performance.now() < until)
  return false
}

function processorTimes(): { idle: number; all: number } {
  const times = cpus().map((cpu) => cpu.times)
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)
  return { idle: sum(times.map(({ idle }) => idle)), all: sum(times.flatMap((each) => Object.values(each))) }
}
