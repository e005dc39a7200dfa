import { usage } from '../errors.ts'
import type { Tls, TlsFiles, TlsMode } from './connection.ts'
import { calledIn } from './parameters.ts'
import type { Pem } from './pem.ts'

/** TLS with the certificates that were given. `files` names those that lie in files, for programs that read them themselves. */
export function tlsOf(mode: TlsMode, given: Record<keyof TlsFiles, Pem | undefined>): Tls {
  const pems = Object.entries(given).filter((entry): entry is [keyof TlsFiles, Pem] => entry[1] !== undefined)
  const files = pems.flatMap(([name, { file }]) => (file === undefined ? [] : [[name, file]]))
  return {
    mode,
    ...Object.fromEntries(pems.map(([name, { text }]) => [name, text])),
    ...(given.ca?.ofSystem && { ofSystem: true as const }),
    ...(files.length > 0 && { files: Object.fromEntries(files) }),
  }
}

/** The TLS mode with channel binding taken into account, which needs TLS. @throws {AppError} `usage` */
export function bound(mode: TlsMode, binding: string | undefined, source: string): TlsMode {
  if (binding !== undefined && !['disable', 'prefer', 'require'].includes(binding))
    throw usage(`${calledIn(source, 'channel_binding')} has an unknown value`, {
      hint: 'use disable, prefer or require',
    })
  if (binding !== 'require') return mode
  if (mode === 'disable')
    throw usage(`${calledIn(source, 'channel_binding')} is require, but TLS is switched off`, {
      hint: 'remove one of the two',
    })
  return mode === 'prefer' ? 'require' : mode
}

const tlsModes: TlsMode[] = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full']

/** The mode that a URL or a variable names; undefined where none does. @throws {AppError} `usage` */
export function tlsMode(source: string, text: string | undefined): TlsMode | undefined {
  if (text === undefined) return undefined
  const mode = { true: 'require', false: 'disable', allow: 'prefer' }[text] ?? text
  if ((tlsModes as string[]).includes(mode)) return mode as TlsMode
  throw usage(`${calledIn(source, 'sslmode')} has an unknown value`, { hint: `use one of ${tlsModes.join(', ')}` })
}
