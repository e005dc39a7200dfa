import { usage } from '../errors.ts'
import type { Env } from './environment.ts'
import type { Loaded } from './load.ts'
import { readPem } from './pem.ts'
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
  /** Reads the keys again; undefined: the credentials that the SDK finds. @throws {AppError} `usage` */
  keys: (() => S3Keys) | undefined
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
  const read = secretReader(env, baseDir)
  const keys =
    accessKeyId && secretAccessKey
      ? () => ({
          accessKeyId: read(accessKeyId, 'backup.s3.accessKeyId'),
          secretAccessKey: read(secretAccessKey, 'backup.s3.secretAccessKey'),
        })
      : undefined
  keys?.()
  return {
    endpoint,
    region: region ?? (env.AWS_REGION || env.AWS_DEFAULT_REGION || undefined),
    pathStyle: pathStyle ?? [endpoint, env.AWS_ENDPOINT_URL_S3, env.AWS_ENDPOINT_URL].some(Boolean),
    ca: authorities(ca, baseDir),
    keys,
    proxy: proxies(env),
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

/** The lower-case ones come first, as everywhere. */
const proxies = (env: Env) =>
  Object.fromEntries(
    ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].map((name) => [name, env[name.toLowerCase()] || env[name] || undefined]),
  )
