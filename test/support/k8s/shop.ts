import { execFileSync } from 'node:child_process'
import { image } from '../docker.ts'
import { isOurs } from './manifest.ts'

/** Stands for the application of k8s/: it cannot start without its table, then answers on port 3000 until it is asked to stop. */
const program = `
  const { execFileSync } = require('node:child_process')
  const { globSync, readFileSync } = require('node:fs')
  const url = readFileSync(process.env.DATABASE_URL_FILE, 'utf8').trim()
  const psql = globSync('/usr/lib/postgresql/*/bin/psql')[0]
  console.log('orders: ' + execFileSync(psql, ['-XAtc', 'select count(*) from orders', url], { encoding: 'utf8' }).trim())
  require('node:http').createServer((_, answer) => answer.end('shop')).listen(3000)
  process.on('SIGTERM', () => process.exit(0))
`

export const shopImage = 'pgbosun-shop:test'

/** Builds it from our image, which has what it needs. */
export function buildShop(): void {
  const entrypoint = JSON.stringify(['/usr/local/bin/node', '-e', program.replaceAll(/\s*\n\s*/g, ';').slice(1)])
  execFileSync('docker', ['build', '--quiet', '--tag', shopImage, '-'], {
    input: `FROM ${image}\nUSER 10001:10001\nENTRYPOINT ${entrypoint}\n`,
    stdio: ['pipe', 'ignore', 'inherit'],
  })
}

export const postgresImage = 'pgbosun-postgres:test'

/** Builds it from the official image, or from its stand-in, whose user gets the number that it has in the official one. */
export function buildPostgres(): void {
  const renumber = 'groupmod --gid 999 postgres && usermod --uid 999 --gid 999 postgres'
  execFileSync('docker', ['build', '--quiet', '--tag', postgresImage, '-'], {
    input: `FROM docker.io/library/postgres:17-trixie\nRUN [ $(id -u postgres) = 999 ] || { ${renumber}; }\n`,
    stdio: ['pipe', 'ignore', 'inherit'],
  })
}

/** What the images of k8s/ are here. */
export const played = (name: string) =>
  isOurs({ image: name }) ? image : name.includes('/postgres:') ? postgresImage : shopImage
