/**
 * The part of the AWS SDK that stores and tokens for RDS need. The build makes a file of its own of it (dist/aws.js), which is loaded with
 * the first request to such a store, or the first token. It must not import anything of ours: it would get copies.
 */
import { createHash, createHmac } from 'node:crypto'
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { S3Client } from '@aws-sdk/client-s3'
import { defaultProvider } from '@aws-sdk/credential-provider-node'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { SignatureV4 } from '@smithy/signature-v4'

export {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'

type Options = {
  endpoint: string | undefined
  region: string | undefined
  pathStyle: boolean
  ca: string[] | undefined
  /** Undefined: the whole default chain of the SDK. */
  keys: (() => Promise<{ accessKeyId: string; secretAccessKey: string }>) | undefined
  proxy: Record<string, string | undefined>
  connectMs: number
  idleMs: number
}

/** A client that tries everything once: whoever uses it decides what is tried again. */
export async function makeClient({
  endpoint,
  region,
  pathStyle,
  ca,
  keys,
  proxy,
  ...limits
}: Options): Promise<S3Client> {
  const common = {
    maxAttempts: 1,
    forcePathStyle: pathStyle,
    // each object has a SHA-256 of ours, and what is sent a CRC that we calculate: many servers know no checksums after a body
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    customUserAgent: 'pgbosun',
    requestHandler: handler({ ca, proxy, ...limits }),
    ...(endpoint !== undefined && { endpoint }),
    // an expiration that has passed: the keys are read again for every request
    credentials: keys
      ? async () => ({ ...(await keys()), expiration: new Date() })
      : defaultProvider({ clientConfig: { requestHandler: handler({ ca: undefined, proxy, ...limits }) } }),
  } as const
  return new S3Client({ ...common, region: region ?? (await regionOfProfile()) ?? 'us-east-1' })
}

/** Of the profile in the files of the AWS tools; undefined if there is none. */
const regionOfProfile = () => new S3Client({}).config.region().catch(() => undefined)

type Handling = Pick<Options, 'ca' | 'proxy' | 'connectMs' | 'idleMs'>

function handler({ ca, proxy, connectMs, idleMs }: Handling): NodeHttpHandler {
  const agent = { keepAlive: true, maxSockets: 16, proxyEnv: proxy }
  return new NodeHttpHandler({
    connectionTimeout: connectMs,
    socketTimeout: idleMs,
    httpAgent: new HttpAgent(agent),
    httpsAgent: new HttpsAgent({ ...agent, ...(ca && { ca }) }),
    // it would write to the console
    logger: { trace() {}, debug() {}, info() {}, warn() {}, error() {} },
  })
}

/** It keeps what it has found until that expires. */
let found: ReturnType<typeof defaultProvider> | undefined

type Credentials = { accessKeyId: string; secretAccessKey: string; sessionToken?: string }

/**
 * A token to log in to a database in RDS with: a presigned request, without its scheme, that is never sent. It is valid for 15 minutes.
 * @param credentials default: what the SDK finds
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export async function signRdsToken(
  { host, port, user, region }: { host: string; port: number; user: string; region: string },
  { credentials, now }: { credentials?: Credentials; now?: Date } = {},
): Promise<string> {
  found ??= defaultProvider({})
  const signer = new SignatureV4({
    service: 'rds-db',
    region,
    credentials: credentials ?? found,
    sha256: Sha256,
    applyChecksum: false,
  })
  const { query = {} } = await signer.presign(
    {
      method: 'GET',
      protocol: 'https:',
      hostname: host,
      port,
      path: '/',
      query: { Action: 'connect', DBUser: user },
      headers: { host: `${host}:${port}` },
    },
    { expiresIn: 900, ...(now && { signingDate: now }) },
  )
  const written = Object.entries(query).map(([name, value]) => `${escaped(name)}=${escaped(String(value))}`)
  return `${host}:${port}/?${written.join('&')}`
}

/** As SigV4 writes it. */
const escaped = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`)

/** The shape that the signer wants. */
class Sha256 {
  private hash
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret))
  }
  update(data: string | ArrayBuffer | ArrayBufferView) {
    this.hash.update(bytesOf(data))
  }
  async digest() {
    return new Uint8Array(this.hash.digest())
  }
  reset() {}
}

const bytesOf = (data: string | ArrayBuffer | ArrayBufferView): string | Uint8Array => {
  if (typeof data === 'string') return data
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data)
}
