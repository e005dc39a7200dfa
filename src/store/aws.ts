/**
 * The part of the AWS SDK that a store needs. The build makes a file of its own of it (dist/aws.js), which is loaded with the first request
 * to such a store. It must not import anything of ours: it would get copies.
 */
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { S3Client } from '@aws-sdk/client-s3'
import { defaultProvider } from '@aws-sdk/credential-provider-node'
import { NodeHttpHandler } from '@smithy/node-http-handler'

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
  keys: (() => { accessKeyId: string; secretAccessKey: string }) | undefined
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
      ? async () => ({ ...keys(), expiration: new Date() })
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
