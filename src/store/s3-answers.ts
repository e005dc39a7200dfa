// pure
/** What is known of an error: of the server's answer, of the connection, or of the SDK. */
export type Failure = {
  name?: string
  code?: string
  message?: string
  /** In a 301, or in AuthorizationHeaderMalformed: the region of the bucket. */
  Region?: string
  $metadata?: { httpStatusCode?: number; attempts?: number }
  $response?: { statusCode?: number; headers?: Record<string, string> }
}

export const statusOf = (error: unknown): number | undefined =>
  (error as Failure)?.$metadata?.httpStatusCode ?? (error as Failure)?.$response?.statusCode

const nameOf = (error: unknown) => (error as Failure)?.name ?? ''
const codeOf = (error: unknown) => (error as Failure)?.code ?? ''

/** Whether an object, or an upload, is not there. A bucket that is not there is another thing. */
export const isAbsent = (error: unknown): boolean =>
  ['NoSuchKey', 'NotFound', 'NoSuchUpload'].includes(nameOf(error)) ||
  (statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket')

/** Whether the object is another one than was asked for. */
export const isReplaced = (error: unknown): boolean => statusOf(error) === 412

/** Whether the credentials were good, and are no more. */
export const isExpired = (error: unknown): boolean =>
  ['ExpiredToken', 'ExpiredTokenException', 'RequestExpired', 'TokenRefreshRequired'].includes(nameOf(error))

/** Whether the clocks differ. The SDK has learned the server's time from this answer. */
export const isSkew = (error: unknown): boolean =>
  ['RequestTimeTooSkewed', 'RequestInTheFuture'].includes(nameOf(error))

/** These say that the connection was not made, or was lost; others that trying again will not help. */
const ofConnections = [
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ERR_PROXY_TUNNEL',
  'HPE_INVALID_EOF_STATE',
]

const temporary = [
  'SlowDown',
  'InternalError',
  'ServiceUnavailable',
  'RequestTimeout',
  'OperationAborted',
  'TimeoutError',
]

/** Whether the same request may succeed later. */
export function isTemporary(error: unknown): boolean {
  const status = statusOf(error)
  if (status !== undefined && (status === 429 || status === 409 || (status >= 500 && status !== 501 && status !== 507)))
    return true
  return temporary.includes(nameOf(error)) || ofConnections.includes(codeOf(error))
}

/** How long the server asks to wait, at most a minute. */
export function retryAfterMs(error: unknown): number {
  const seconds = Number((error as Failure)?.$response?.headers?.['retry-after'])
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 60) * 1000 : 0
}

/** The region that the bucket is in, if the answer tells it. */
export const regionIn = (error: unknown): string | undefined =>
  (error as Failure)?.Region ?? (error as Failure)?.$response?.headers?.['x-amz-bucket-region']
