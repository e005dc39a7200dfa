import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { usage } from '../errors.ts'
import type { TlsMode } from './connection.ts'
import { refuseUrlAsPath } from './secrets.ts'

/** Certificates or a key. `file`: a file with exactly these, if there is one. */
export type Pem = { text: string; file?: string | undefined; ofSystem?: true }

/** @throws {AppError} `usage` when it cannot be read */
export function readPem(path: string, what: string, baseDir: string): Pem {
  refuseUrlAsPath(path, what)
  const file = resolve(baseDir, path)
  try {
    return { text: readFileSync(file, 'utf8'), file }
  } catch (cause) {
    throw usage(`${what}: the file ${path} cannot be read (${(cause as NodeJS.ErrnoException).code})`, {
      hint: 'check the path and its mode',
      cause,
    })
  }
}

/**
 * The authorities to verify a server's certificate with: those in the file `ca`; or those that the system trusts, if `ca` is `system`,
 * or if it is not set and the mode verifies certificates.
 *
 * @throws {AppError} `usage` for `system` with less than verify-full, as in libpq: anybody can get a certificate from those authorities
 */
export function authorities(ca: string | undefined, mode: TlsMode, source: string, baseDir: string): Pem | undefined {
  if (ca !== undefined && ca !== 'system') return readPem(ca, 'database.tls.ca', baseDir)
  const verifies = mode === 'verify-full' || mode === 'verify-ca'
  if (ca === undefined && !verifies) return undefined
  if (ca === 'system' && mode !== 'verify-full')
    throw usage(`${source}: the authorities that the system trusts need sslmode verify-full, but it is ${mode}`, {
      hint: 'set `database.tls.mode: verify-full`, or name the file of your own authority',
    })
  const found = [...new Set(process.getBuiltinModule('node:tls').getCACertificates('system'))]
  if (found.length > 0) return { text: found.join('\n'), file: bundleOf(found), ofSystem: true }
  throw usage(`${source}: the system has no authorities to verify a certificate with`, {
    hint: 'install ca-certificates, mount them to /etc/ssl/certs, or set `database.tls.ca`',
  })
}

/** The files with all of them, on Debian, Alpine, Fedora and SUSE. */
const bundles = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/ca-bundle.pem']

/** The file with exactly these certificates, for libpq, which only reads files. It then trusts the same authorities. */
function bundleOf(found: string[]): string | undefined {
  const wanted = certificatesIn(found.join('\n'))
  const { SSL_CERT_FILE } = process.env
  return [...(SSL_CERT_FILE ? [resolve(SSL_CERT_FILE)] : []), ...bundles].find((path) => {
    const there = certificatesIn(textOf(path))
    return there.size === wanted.size && [...there].every((one) => wanted.has(one))
  })
}

const certificatesIn = (text: string) =>
  new Set((text.match(/-----BEGIN CERTIFICATE-----[^-]*/g) ?? []).map((one) => one.replaceAll(/\s/g, '')))

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
