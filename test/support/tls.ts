import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { type Server, startServer } from '../../scripts/server.ts'
import { server } from './postgres.ts'

/** A server that offers TLS with a certificate for a name, localhost unless another is asked for, and not for any address. */
export type TlsServer = {
  /** URL of its database `postgres`; `host` is the name or address to reach it by. */
  url(host: string, parameters?: string): string
  /** File with the certificate to trust. */
  ca: string
  /** File with the certificate of somebody else. */
  otherCa: string
  /** File with the key of that one, which only its owner may read. */
  otherKey: string
  remove(): Promise<void>
}

/** Why there can be no such server here; undefined when there can. */
export function tlsMissing(): string | undefined {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'there is no openssl program to make certificates with'
  }
}

/** Starts a server and switches TLS on in it. @param name that its certificate is for */
export async function startTlsServer(name = 'localhost'): Promise<TlsServer> {
  const dir = mkdtempSync(join(tmpdir(), 'pgbosun-tls-'))
  const own = makeCertificate(dir, name)
  const other = makeCertificate(dir, 'elsewhere')
  const started = await startServer(server().binDir, { settings: ['fsync=off'] })
  await switchOn(started, own)
  return {
    url: (host, parameters = '') => started.url('postgres').replace('127.0.0.1', host) + parameters,
    ca: own.certificate,
    otherCa: other.certificate,
    otherKey: other.key,
    async remove() {
      await started.remove()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

type Pair = { key: string; certificate: string }

/** For a name and for itself. */
export function makeCertificate(dir: string, name: string): Pair {
  const key = join(dir, `${name}.key`)
  const certificate = join(dir, `${name}.crt`)
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`, '-days', '2']
  execFileSync('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', certificate], {
    stdio: 'pipe',
  })
  return { key, certificate }
}

/** The key must belong to the account that the server runs as. */
async function switchOn({ dir, url }: Server, { key, certificate }: Pair): Promise<void> {
  const { uid, gid } = statSync(dir)
  for (const [from, name] of [
    [key, 'server.key'],
    [certificate, 'server.crt'],
  ] as const) {
    copyFileSync(from, join(dir, name))
    chownSync(join(dir, name), uid, gid)
    chmodSync(join(dir, name), 0o600)
  }
  const sql = postgres(url('postgres'), { max: 1, fetch_types: false, no_subscribe: true } as postgres.Options<
    Record<string, never>
  >)
  for (const [name, value] of [
    ['ssl_key_file', join(dir, 'server.key')],
    ['ssl_cert_file', join(dir, 'server.crt')],
    ['ssl', 'on'],
  ])
    await sql.unsafe(`alter system set ${name} = '${value}'`)
  await sql`select pg_reload_conf()`
  while ((await sql`show ssl`)[0]?.ssl !== 'on') await sleep(20)
  await sql.end()
}
