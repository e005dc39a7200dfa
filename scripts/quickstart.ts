/**
 * Shows the main job on a throwaway server: an empty PostgreSQL is made ready, a second run finds nothing to do.
 * `--keep` leaves the server running and prints how to connect.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { sampleArgs, sampleDatabase, sampleEnv, samplePasswords } from './sample.ts'
import { findServerBinaries, type Server, startServer } from './server.ts'

const program = join(import.meta.dirname, '../dist/pgbosun.cjs')
const configFile = relative(process.cwd(), sampleArgs[1] ?? '')
const keep = process.argv.includes('--keep')

const bold = (text: string) => (process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text)
const say = (text = '') => console.log(text)
const stopped = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopped.abort(signal))

const [binDir] = findServerBinaries()
if (binDir === undefined) throw new Error('no PostgreSQL server found: run ./scripts/quickstart, which installs one')
const server = await startServer(binDir)
let shown = false
try {
  await story(server)
  shown = true
} catch (error) {
  if (!stopped.signal.aborted) console.error(`error: ${(error as Error).message}`)
} finally {
  if (!keep || !shown) await server.remove()
}
if (keep && shown) {
  sayHowToConnect(server)
  server.keep()
}
process.exitCode = shown ? 0 : stopped.signal.aborted ? 130 : 1

async function story(server: Server): Promise<void> {
  say(
    `An empty PostgreSQL ${server.major} on 127.0.0.1:${server.port}, and ${configFile}, which declares what it should become.`,
  )

  title('1. up, while the server is still starting')
  await server.stop()
  const [first] = await Promise.all([run('up'), sleep(700).then(() => server.start())])
  expectSuccess(first)

  title('2. up again: nothing to do')
  expectSuccess(await run('up'))

  title('3. check: is the database what is declared?')
  expectSuccess(await run('check'))

  title('4. status')
  expectSuccess(await run('status'))

  say()
  say(bold('Done.') + ' ./scripts/quickstart --keep leaves the server running for you to look at.'.repeat(keep ? 0 : 1))
}

function title(text: string): void {
  say()
  say(bold(`── ${text} `.padEnd(90, '─')))
}

/** Runs the built program as a person would, its output indented. */
async function run(command: string): Promise<{ command: string; code: number | null }> {
  say(`$ pgbosun ${command} --config ${configFile}`)
  const startedAt = performance.now()
  const child = spawn(process.execPath, [program, command, ...sampleArgs, '--log-format', 'pretty'], {
    env: sampleEnv(server.url(sampleDatabase)),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const stop = () => child.kill('SIGTERM')
  stopped.signal.addEventListener('abort', stop)
  createInterface({ input: child.stdout }).on('line', (line) => say(`  ${line}`))
  // the log repeats every change as it is made; the result on stdout has them already
  createInterface({ input: child.stderr }).on('line', (line) => / INFO {2}(?!waiting)/.test(line) || say(`  ${line}`))
  const [code] = (await once(child, 'close')) as [number | null]
  stopped.signal.removeEventListener('abort', stop)
  stopped.signal.throwIfAborted()
  say(`  exit ${code} after ${((performance.now() - startedAt) / 1000).toFixed(2)} s`)
  return { command, code }
}

function expectSuccess({ command, code }: { command: string; code: number | null }): void {
  if (code !== 0) throw new Error(`pgbosun ${command} ended with exit code ${code}`)
}

function sayHowToConnect(server: Server): void {
  const asSuperuser = server.url(sampleDatabase)
  const asApplication = new URL(asSuperuser)
  asApplication.username = 'games_app'
  asApplication.password = encodeURIComponent(samplePasswords.games_app)
  const { DATABASE_URL, GAMES_APP_PASSWORD, GAMES_REPORT_PASSWORD } = sampleEnv(asSuperuser)

  say()
  say('The server keeps running.')
  say(`  as the application  psql '${asApplication.href}'`)
  say(`  as the superuser    psql '${asSuperuser}'`)
  say(`  stop and remove it  kill -INT ${server.pid()} && sleep 1 && rm -rf ${server.dir}`)
  say('  for pgbosun itself:')
  for (const [name, value] of Object.entries({ DATABASE_URL, GAMES_APP_PASSWORD, GAMES_REPORT_PASSWORD }))
    say(`    export ${name}='${value}'`)
  say(`    npx pgbosun plan --config ${configFile}`)
}
