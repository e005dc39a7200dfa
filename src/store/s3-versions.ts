import { decoded } from './s3-list.ts'
import { keyOf, prefixIn } from './s3-place.ts'
import { explained } from './s3-problem.ts'
import { readObject } from './s3-read.ts'
import type { Requests } from './s3-requests.ts'
import type { DeletedObject, Versions } from './store.ts'

/** What a bucket with versions keeps of objects that were deleted: a delete there only puts a marker before them. */
export const versionsIn = (requests: Requests): Versions => ({
  keeps: () => keepsVersions(requests),
  deleted: (prefix) => deletedObjects(requests, prefix),
  read: async (key, version) => readObject(requests, key, version),
})

/** Undefined where it may not be asked, or the server does not know the question. */
async function keepsVersions(requests: Requests): Promise<boolean | undefined> {
  const { bucket: Bucket } = requests.place
  try {
    const { Status } = await requests.send((client, options, aws) =>
      client.send(new aws.GetBucketVersioningCommand({ Bucket }), options),
    )
    // a bucket whose versions were suspended keeps those that it has
    return Status !== undefined
  } catch {
    requests.given.throwIfAborted()
    return undefined
  }
}

/** Of each key whose newest version is a delete marker, the newest version behind the markers. */
async function deletedObjects(requests: Requests, prefix: string): Promise<DeletedObject[]> {
  const { place } = requests
  const marked = new Set<string>()
  const newest = new Map<string, DeletedObject>()
  for await (const { Versions = [], DeleteMarkers = [], EncodingType } of pages(requests, prefix)) {
    const keyIn = (Key = '') => keyOf(place, decoded(Key, EncodingType))
    for (const { Key, IsLatest } of DeleteMarkers) {
      const key = keyIn(Key)
      if (key !== undefined && IsLatest) marked.add(key)
    }
    for (const { Key, Size = 0, LastModified = new Date(0), VersionId = 'null' } of Versions) {
      const key = keyIn(Key)
      // the newest of a key comes first
      if (key !== undefined && !newest.has(key))
        newest.set(key, { key, sizeBytes: Size, modifiedAt: LastModified, version: VersionId })
    }
  }
  return [...newest.values()].filter(({ key }) => marked.has(key))
}

async function* pages(requests: Requests, prefix: string) {
  const asked = {
    Bucket: requests.place.bucket,
    Prefix: prefixIn(requests.place, prefix),
    EncodingType: 'url' as const,
  }
  for (let from: { KeyMarker?: string; VersionIdMarker?: string } = {}; ; ) {
    const page = await explained(requests, 'list-versions', () =>
      requests.send((client, options, aws) =>
        client.send(new aws.ListObjectVersionsCommand({ ...asked, ...from }), options),
      ),
    )
    yield page
    const { IsTruncated, NextKeyMarker, NextVersionIdMarker, EncodingType } = page
    if (!IsTruncated || NextKeyMarker === undefined) return
    from = {
      KeyMarker: decoded(NextKeyMarker, EncodingType),
      ...(NextVersionIdMarker !== undefined && { VersionIdMarker: NextVersionIdMarker }),
    }
  }
}
