import type { Loaded } from './load.ts'
import { renewed } from './renewed.ts'

/**
 * Secrets that are read where there is no time to ask: URLs, because a connection is described before it is opened, and keys. All
 * others are asked for where they are used.
 */
export type Needed = 'target' | 'backup' | 'test' | 'identity' | 'sign' | 'token'

/** Asks for those of them that have to be asked for, unless they are known and fresh. @throws {AppError} `usage` */
export async function renewNeeded({ config, env, baseDir }: Loaded, needed: readonly Needed[]): Promise<void> {
  const { database, backup, serve } = config
  const sources: Record<Needed, [key: string, source: unknown]> = {
    target:
      database.directUrl === undefined ? ['database.url', database.url] : ['database.directUrl', database.directUrl],
    backup: ['backup.url', backup.url],
    test: ['backup.verify.url', backup.verify.url],
    identity: ['backup.encrypt.identity', backup.encrypt?.identity],
    sign: ['backup.sign.secret', backup.sign?.secret],
    token: ['serve.token', serve.access === 'token' ? serve.token : undefined],
  }
  for (const [key, source] of needed.map((name) => sources[name])) await renewed(source, key, { env, baseDir })
}
