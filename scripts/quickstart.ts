/**
 * Shows the main job on a throwaway server: it makes an empty PostgreSQL ready, and a second run finds nothing to do. Then it makes
 * a backup, verifies it, restores it into another database, and starts `serve`.
 * `--keep` leaves the server and `serve` running and prints how to connect.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { sampleArgs, sampleDatabase, sampleEnv, urlAs } from './sample.ts'
import { findServerBinaries, freePort, type Server, startServer } from './server.ts'

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
// our own folder, because that of the server may belong to another account
const store = mkdtempSync(join(tmpdir(), 'pgbosun-backups-'))
const serveUrl = `http://127.0.0.1:${await freePort()}`
const env = { ...sampleEnv(server.url(sampleDatabase), store), PGBOSUN_SERVE_LISTEN: new URL(serveUrl).host }
let servePid: number | undefined
let shown = false
try {
  await story(server)
  shown = true
} catch (error) {
  if (!stopped.signal.aborted) console.error(`error: ${(error as Error).message}`)
} finally {
  if (!keep || !shown) {
    await server.remove()
    rmSync(store, { recursive: true, force: true })
  }
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

  title('4. backup, as the user games_backup; it is read back and decoded at once')
  expectSuccess(await run('backup'))

  title('5. verify: every stored byte is read again')
  expectSuccess(await run('backup verify latest'))

  title('6. restore into another database; row counts are compared')
  expectSuccess(await run('restore latest --into games_copy --yes'))

  title('7. status')
  expectSuccess(await run('status'))

  title('8. serve: keeps running, makes scheduled backups, reports its health')
  await showServe()

  say()
  say(
    bold('Done.') +
      ' ./scripts/quickstart --keep leaves the server and `serve` running for you to look at.'.repeat(keep ? 0 : 1),
  )
}

/** Starts `serve`, asks for its health, and stops it, unless it is to be kept. */
async function showServe(): Promise<void> {
  say(`$ pgbosun serve --config ${configFile}`)
  const log = openSync(`${store}/serve.log`, 'w')
  const child = spawn(process.execPath, [program, 'serve', ...sampleArgs], {
    env,
    stdio: ['ignore', log, log],
    detached: keep,
  })
  const ended = once(child, 'exit')
  try {
    for (const path of ['/startupz', '/readyz', '/livez']) say(`  GET ${path}  ${await answerOf(path)}`)
    const status = (await (await fetch(`${serveUrl}/status.json`)).json()) as { backups: Record<string, unknown>[] }
    for (const backup of status.backups)
      say(`  GET /status.json  ${backup.database}: last backup ${backup.last_success_id}, next ${backup.next_run_at}`)
  } catch (error) {
    child.kill('SIGKILL')
    say(readFileSync(`${store}/serve.log`, 'utf8'))
    throw error
  }
  if (keep) {
    child.unref()
    servePid = child.pid
    return
  }
  child.kill('SIGTERM')
  const [code] = (await ended) as [number | null]
  say(`  SIGTERM: exit ${code}`)
  expectSuccess({ command: 'serve', code })
}

/** The status of an endpoint once it is 200; gives up after 15 s. */
async function answerOf(path: string): Promise<number> {
  for (let i = 0; i < 150; i++) {
    stopped.signal.throwIfAborted()
    const response = await fetch(`${serveUrl}${path}`).catch(() => undefined)
    await response?.text()
    if (response?.status === 200) return 200
    await sleep(100)
  }
  throw new Error(`serve did not answer 200 on ${path}`)
}

function title(text: string): void {
  say()
  say(bold(`── ${text} `.padEnd(90, '─')))
}

/** Runs the built program as a person would, its output indented. */
async function run(command: string): Promise<{ command: string; code: number | null }> {
  say(`$ pgbosun ${command} --config ${configFile}`)
  const startedAt = performance.now()
  const child = spawn(process.execPath, [program, ...command.split(' '), ...sampleArgs, '--log-format', 'pretty'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const stop = () => child.kill('SIGTERM')
  stopped.signal.addEventListener('abort', stop)
  createInterface({ input: child.stdout }).on('line', (line) => say(`  ${line}`))
  // the log repeats every change as it is made, but the result on stdout already shows them all
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
  say()
  say('The server and `serve` keep running.')
  say(`  as the application  psql '${urlAs(asSuperuser, 'games_app')}'`)
  say(`  as the superuser    psql '${asSuperuser}'`)
  say(`  serve               curl ${serveUrl}/status.json`)
  say(`  stop and remove     kill ${servePid} && kill -INT ${server.pid()} && sleep 1 && rm -rf ${server.dir} ${store}`)
  say('  for pgbosun itself:')
  const names = Object.keys(env).filter((name) => /^(DATABASE_URL|BACKUP_URL|GAMES_|PGBOSUN_)/.test(name))
  for (const name of names) say(`    export ${name}='${env[name as keyof typeof env]}'`)
  say(`    npx pgbosun plan --config ${configFile}`)
}
