import { usage } from '../errors.ts'
import { isAsked } from './asked.ts'
import { proxiesIn } from './environment.ts'
import type { SecretSource } from './fields.ts'
import type { Loaded } from './load.ts'
import { readPem } from './pem.ts'
import { askingReader } from './renewed.ts'
import { secretReader } from './secrets.ts'
import type { StorePlace } from './stores.ts'

/** How a store in S3 is reached, with what was read for it. */
export type S3Settings = {
  endpoint: string | undefined
  /** Undefined: what the SDK finds. */
  region: string | undefined
  pathStyle: boolean
  /** Certificates of the authorities to trust; undefined: those that Node trusts. */
  ca: string[] | undefined
  /** Reads, or asks for, the keys again; undefined: the credentials that the SDK finds. @throws {AppError} `usage` */
  keys: (() => Promise<S3Keys>) | undefined
  /** What must not be shown: the keys as they were used last. */
  shown(): string[]
  /** The variables of the environment that name proxies. */
  proxy: Record<string, string | undefined>
}

export type S3Keys = { accessKeyId: string; secretAccessKey: string }

/**
 * What is set for a store and the environment say.
 * @param s3 of the store, with what `backup.s3` says for all
 * @throws {AppError} `usage` when a file or a variable that is named cannot be read
 */
export function readS3Settings(s3: StorePlace['s3'], { env, baseDir }: Pick<Loaded, 'env' | 'baseDir'>): S3Settings {
  const { endpoint, region, pathStyle, ca, accessKeyId, secretAccessKey } = s3
  const { keys, shown } = keysIn(accessKeyId && secretAccessKey && { accessKeyId, secretAccessKey }, { env, baseDir })
  return {
    endpoint,
    region: region ?? (env.AWS_REGION || env.AWS_DEFAULT_REGION || undefined),
    pathStyle: pathStyle ?? [endpoint, env.AWS_ENDPOINT_URL_S3, env.AWS_ENDPOINT_URL].some(Boolean),
    ca: authorities(ca, baseDir),
    keys,
    shown,
    proxy: proxiesIn(env),
  }
}

type KeySources = { accessKeyId: SecretSource; secretAccessKey: SecretSource }

/** What cannot be read is said at once; what has to be asked for, with the first request. */
function keysIn(
  sources: KeySources | undefined,
  { env, baseDir }: Pick<Loaded, 'env' | 'baseDir'>,
): Pick<S3Settings, 'keys' | 'shown'> {
  if (sources === undefined) return { keys: undefined, shown: () => [] }
  const read = secretReader(env, baseDir)
  const ask = askingReader({ env, baseDir })
  const names = ['accessKeyId', 'secretAccessKey'] as const
  let last = names.flatMap((name) => (isAsked(sources[name]) ? [] : [read(sources[name], `backup.s3.${name}`)]))
  return {
    async keys() {
      const [accessKeyId = '', secretAccessKey = ''] = [
        await ask(sources.accessKeyId, 'backup.s3.accessKeyId'),
        await ask(sources.secretAccessKey, 'backup.s3.secretAccessKey'),
      ]
      last = [accessKeyId, secretAccessKey]
      return { accessKeyId, secretAccessKey }
    },
    shown: () => last,
  }
}

function authorities(ca: string | undefined, baseDir: string): string[] | undefined {
  if (ca === undefined) return undefined
  if (ca === 'system') return process.getBuiltinModule('node:tls').getCACertificates('system')
  const { text, file } = readPem(ca, 'backup.s3.ca', baseDir)
  try {
    ;new (process.getBuiltinModule('node:crypto').X509Certificate)(text)
  } catch (cause) {
    throw usage(`backup.s3.ca: there is no certificate in ${file}`, {
      hint: 'name a file with certificates in PEM, which begin with -----BEGIN CERTIFICATE-----',
      cause,
    })
  }
  return [text]
}
