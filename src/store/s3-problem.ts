import { AppError, type Reason } from '../errors.ts'
import { type Failure, isExpired, isSkew, regionIn, statusOf } from './s3-answers.ts'
import type { Requests } from './s3-requests.ts'

/** What was being done: in words, and the right that it takes. */
export type Doing = 'read' | 'write' | 'list' | 'delete' | 'list-uploads' | 'list-versions'

const rights: Record<Doing, string> = {
  read: 's3:GetObject',
  write: 's3:PutObject and s3:AbortMultipartUpload',
  list: 's3:ListBucket',
  delete: 's3:DeleteObject',
  'list-uploads': 's3:ListBucketMultipartUploads and s3:ListMultipartUploadParts',
  'list-versions': 's3:ListBucketVersions and s3:GetObjectVersion',
}

const said: Record<Doing, string> = {
  read: 'cannot be read',
  write: 'cannot be written',
  list: 'cannot be listed',
  delete: 'cannot delete',
  'list-uploads': 'cannot list unfinished uploads',
  'list-versions': 'cannot list versions',
}

/** Runs one thing and turns what goes wrong into exit 60, with what to do. */
export async function explained<T>(requests: Requests, doing: Doing, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw problemOf(requests, doing, error)
  }
}

/** The error with a hint; an error that is ours already, or one of this program, is returned unchanged. */
export function problemOf(requests: Requests, doing: Doing, error: unknown): unknown {
  if (error instanceof AppError || !isOfStore(error)) return error
  const { place } = requests
  const { text, hint, reason } = explain(error, doing, place.bucket)
  const isReading = doing === 'read' || doing === 'list'
  return new AppError('backup', redacted(`${place.name} ${said[doing]}: ${text}`, requests.secrets()), {
    reason: reason ?? (isReading ? 'store-unreadable' : isRefused(doing, error) ? 'delete-refused' : undefined),
    hint,
    cause: withoutHeaders(error),
  })
}

/** No right to delete, or to look for what may be deleted, or a lock on the object. */
const isRefused = (doing: Doing, error: Failure) =>
  (doing === 'delete' || doing === 'list-uploads') && [403, 405].includes(statusOf(error) ?? 0)

type Explained = { text: string; hint: string; reason?: Reason }

/** Errors of the SDK and of connections. What has neither a code nor a status is a mistake in a program. */
const isOfStore = (error: unknown): error is Failure & Error => {
  const { name = '', code, $metadata, $response } = error as Failure
  if (code === 'ENOENT') return false
  return code !== undefined || $metadata !== undefined || $response !== undefined || name in explanations
}

const keysHint =
  'check `backup.s3.accessKeyId` and `backup.s3.secretAccessKey`, or the credentials that the AWS SDK finds'

type Explain = (error: Failure, doing: Doing, bucket: string) => Explained

const denied: Explain = ({ message = '' }, doing) => ({
  text: `access denied${isTelling(message) ? `: ${message}` : ''}`,
  hint: `allow ${rights[doing]}; docs/backups.md has the whole policy`,
})

const elsewhere: Explain = (error, _, bucket) => {
  const region = regionIn(error)
  return {
    text: `the bucket ${bucket} is in another region${region ? `: ${region}` : ', or at another endpoint'}`,
    hint: `set \`backup.s3.region: ${region ?? 'REGION'}\`, and look at \`backup.s3.endpoint\``,
  }
}

const wrongKeys: Explain = () => ({ text: 'the server does not know the access key', hint: keysHint })

const expired: Explain = () => ({
  text: 'the credentials have expired, and there are no new ones',
  hint: 'look at what should renew them: the token file of the web identity, the profile, or the session token',
})

const skewed: Explain = () => ({
  text: `the clock of this machine differs too much from the server's: here it is ${new Date().toISOString()}`,
  hint: 'set the clock, here or there',
})

const busy: Explain = (error) => ({
  text: `the server is too busy, or has a fault (${statusOf(error) ?? error.name})`,
  hint: 'try again later; if it stays, look at the server and at its limits of requests',
})

const full: Explain = () => ({
  text: 'there is no space left, or a quota is used up',
  hint: 'raise the quota, or delete backups with `pgbosun backup prune`',
  reason: 'store-full',
})

const unreachable: Explain = ({ code = '' }) => ({
  text: `the server cannot be reached (${code})`,
  hint: 'check `backup.s3.endpoint`, the network, and the variables HTTPS_PROXY and NO_PROXY',
})

const silent: Explain = () => ({
  text: 'the server does not answer',
  hint: 'check the server, the network, and the variables HTTPS_PROXY and NO_PROXY',
})

const foreign: Explain = () => ({
  text: 'the answer is not one of S3',
  hint: 'check `backup.s3.endpoint`, and the variables HTTPS_PROXY and NO_PROXY: something else answers there',
})

const untrusted: Explain = ({ code = '' }) => ({
  text: `the certificate of the server is not trusted (${code})`,
  hint: 'set `backup.s3.ca` to the file with the certificate of its authority',
})

const noTls: Explain = ({ code = '' }) => ({
  text: `the server does not speak TLS as expected (${code})`,
  hint: 'check whether `backup.s3.endpoint` begins with https:// or http://, and its port',
})

const explanations: Record<string, Explain> = {
  NoSuchBucket: (_, __, bucket) => ({
    text: `there is no bucket ${bucket}`,
    hint: 'create it, or set `backup.store` and `backup.s3.endpoint` to the right one',
  }),
  AccessDenied: denied,
  AllAccessDisabled: denied,
  AccountProblem: denied,
  InvalidAccessKeyId: wrongKeys,
  InvalidToken: wrongKeys,
  UnrecognizedClientException: wrongKeys,
  SignatureDoesNotMatch: () => ({
    text: 'the server does not accept the signature',
    hint: 'the secret of the access key is wrong (look for blanks), or a proxy changes requests: check `backup.s3.secretAccessKey`',
  }),
  PermanentRedirect: elsewhere,
  TemporaryRedirect: elsewhere,
  AuthorizationHeaderMalformed: elsewhere,
  IllegalLocationConstraintException: elsewhere,
  CredentialsProviderError: () => ({
    text: 'there are no credentials',
    hint: 'set `backup.s3.accessKeyId` and `backup.s3.secretAccessKey`, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role of the service account',
  }),
  SlowDown: busy,
  InternalError: busy,
  ServiceUnavailable: busy,
  QuotaExceeded: full,
  XMinioStorageFull: full,
  TimeoutError: silent,
  RequestTimeout: silent,
  CERT_HAS_EXPIRED: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  ERR_TLS_CERT_ALTNAME_INVALID: untrusted,
  EPROTO: noTls,
  ERR_SSL_WRONG_VERSION_NUMBER: noTls,
  HPE_INVALID_CONSTANT: noTls,
}

const ofStatus: Record<number, Explain> = { 301: elsewhere, 307: elsewhere, 400: elsewhere, 403: denied, 507: full }

function explain(error: Failure, doing: Doing, bucket: string): Explained {
  const status = statusOf(error)
  const named = explanations[error.name ?? ''] ?? explanations[error.code ?? '']
  if (isExpired(error)) return expired(error, doing, bucket)
  if (isSkew(error)) return skewed(error, doing, bucket)
  if (named) return named(error, doing, bucket)
  if (status === undefined && error.code !== undefined) return unreachable(error, doing, bucket)
  // the answer to HEAD has no body that would say more
  if (status !== undefined && isTelling(error.name) === false && ofStatus[status])
    return ofStatus[status](error, doing, bucket)
  if (status !== undefined && status < 300) return foreign(error, doing, bucket)
  if (status === 403) return denied(error, doing, bucket)
  if (status !== undefined && status >= 500 && status !== 501) return busy(error, doing, bucket)
  const message = isTelling(error.message) ? `: ${error.message}` : ''
  return {
    text: `the server answered ${status ?? ''} ${isTelling(error.name) ? error.name : ''}${message}`.replace(
      / +/g,
      ' ',
    ),
    hint: 'check `backup.store` and `backup.s3`; the server may not know this kind of request',
  }
}

/** The SDK says `UnknownError` where the answer says nothing. */
const isTelling = (text = '') => text !== '' && !/^Unknown(Error)?$/.test(text)

const longestMessage = 400

function redacted(text: string, secrets: string[]): string {
  const hidden = secrets.reduce((rest, secret) => rest.replaceAll(secret, '…'), text)
  return hidden.length > longestMessage ? `${hidden.slice(0, longestMessage)}…` : hidden
}

/** Requests have signatures, and the token of a session, in their headers. */
const withoutHeaders = (error: Failure & Error): Error => {
  const { name, message, stack } = error
  return Object.assign(new Error(message), { name, stack, $metadata: { httpStatusCode: statusOf(error) } })
}
