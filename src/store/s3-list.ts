import { AppError } from '../errors.ts'
import { isName } from './keys.ts'
import { keyOf, prefixIn } from './s3-place.ts'
import { explained } from './s3-problem.ts'
import type { Requests } from './s3-requests.ts'
import type { Stored } from './store.ts'

/** All keys below a prefix, a page of a thousand after the other. What else is in the bucket is left out. */
export async function* listObjects(requests: Requests, prefix: string): AsyncGenerator<Stored> {
  for await (const { Contents = [], EncodingType } of pages(requests, prefix))
    for (const { Key = '', Size = 0, LastModified = new Date(0), ETag } of Contents) {
      const key = keyOf(requests.place, decoded(Key, EncodingType))
      if (key !== undefined) yield { key, sizeBytes: Size, modifiedAt: LastModified, ...(ETag && { etag: ETag }) }
    }
}

/** Names of the folders right below a prefix. */
export async function listFolders(requests: Requests, prefix: string): Promise<string[]> {
  const start = prefixIn(requests.place, prefix)
  const names: string[] = []
  for await (const { CommonPrefixes = [], EncodingType } of pages(requests, prefix, '/'))
    for (const { Prefix = '' } of CommonPrefixes) {
      const name = decoded(Prefix, EncodingType).slice(start.length, -1)
      if (isName(name)) names.push(name)
    }
  return names
}

async function* pages(requests: Requests, prefix: string, Delimiter?: string) {
  const { place } = requests
  const asked = { Bucket: place.bucket, Prefix: prefixIn(place, prefix), EncodingType: 'url' as const }
  const seen = new Set<string>()
  for (let token: string | undefined; ; ) {
    const page = await explained(requests, 'list', () =>
      requests.send((client, options, aws) =>
        client.send(
          new aws.ListObjectsV2Command({
            ...asked,
            ...(Delimiter !== undefined && { Delimiter }),
            ...(token !== undefined && { ContinuationToken: token }),
          }),
          options,
        ),
      ),
    )
    if (page.IsTruncated === undefined) throw noList(place.name)
    yield page
    token = page.NextContinuationToken
    if (!page.IsTruncated) return
    if (token === undefined || seen.has(token)) throw endless(place.name)
    seen.add(token)
  }
}

/** Keys may have characters that XML cannot have. One that is not UTF-8 becomes a text that is no key of ours: somebody else's. */
export function decoded(text: string, encoding: string | undefined): string {
  if (encoding !== 'url') return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return `not UTF-8: ${text}`
  }
}

/** A proxy that answers everything, or an address that is of something else: it looks like an empty list. */
const noList = (name: string) =>
  new AppError('backup', `${name} cannot be listed: the answer is not one of S3`, {
    reason: 'store-unreadable',
    hint: 'check `backup.s3.endpoint`, and the variables HTTPS_PROXY and NO_PROXY: something else answers there',
  })

/** Part of a list would look as if backups were gone. */
const endless = (name: string) =>
  new AppError('backup', `${name} cannot be listed: a page says that more follow, and not where`, {
    reason: 'store-unreadable',
    hint: 'look at the server: its lists are not those of S3',
  })
