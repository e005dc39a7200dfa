import type { AppError } from '../errors.ts'
import { isAbsent, statusOf } from './s3-answers.ts'
import { keyOf, prefixIn } from './s3-place.ts'
import { explained } from './s3-problem.ts'
import type { Requests } from './s3-requests.ts'

type Unfinished = { key: string; Key: string; UploadId: string; startedAt: Date }

/**
 * Aborts the uploads below a prefix to which nothing was sent for longer than `ageOf` says. Whoever is still sending parts is left alone,
 * however long ago the upload was started.
 *
 * @returns their keys
 */
export async function sweepUploads(
  requests: Requests,
  prefix: string,
  ageOf: (key: string) => number,
): Promise<string[]> {
  const swept: string[] = []
  for (const upload of await listed(requests, prefix)) {
    const age = ageOf(upload.key)
    if (Date.now() - upload.startedAt.getTime() < age) continue
    const sentAt = await lastSent(requests, upload)
    if (sentAt === undefined || Date.now() - sentAt.getTime() < age) continue
    if (await abort(requests, upload)) swept.push(upload.key)
  }
  return swept
}

/** Nothing on a server that does not know this kind of list. */
async function listed(requests: Requests, prefix: string): Promise<Unfinished[]> {
  try {
    return await unfinished(requests, prefix)
  } catch (error) {
    if ([405, 501].includes(statusOf((error as AppError).cause) ?? 0)) return []
    throw error
  }
}

async function unfinished(requests: Requests, prefix: string): Promise<Unfinished[]> {
  const { place } = requests
  const asked = { Bucket: place.bucket, Prefix: prefixIn(place, prefix) }
  const found: Unfinished[] = []
  const seen = new Set<string>()
  for (let from: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {}; ; ) {
    const page = await explained(requests, 'list-uploads', () =>
      requests.send((client, options, aws) =>
        client.send(new aws.ListMultipartUploadsCommand({ ...asked, ...from }), options),
      ),
    )
    for (const { Key = '', UploadId, Initiated } of page.Uploads ?? []) {
      const key = keyOf(place, Key)
      // some servers list what begins with the prefix only by chance, or without an instant
      if (key?.startsWith(prefix) && UploadId && Initiated) found.push({ key, Key, UploadId, startedAt: Initiated })
    }
    const { IsTruncated, NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page
    const next = `${KeyMarker} ${UploadIdMarker}`
    if (!IsTruncated || KeyMarker === undefined || seen.has(next)) return found
    seen.add(next)
    from = { KeyMarker, UploadIdMarker }
  }
}

/** When something was last sent to an upload; undefined if it is gone. */
async function lastSent(requests: Requests, { Key, UploadId, startedAt }: Unfinished): Promise<Date | undefined> {
  let last = startedAt
  const asked = { Bucket: requests.place.bucket, Key, UploadId }
  for (let marker: string | undefined; ; ) {
    const page = await explained(requests, 'list-uploads', () =>
      requests
        .send((client, options, aws) =>
          client.send(new aws.ListPartsCommand({ ...asked, ...(marker && { PartNumberMarker: marker }) }), options),
        )
        .catch((error) => {
          if (!isAbsent(error)) throw error
          return undefined
        }),
    )
    if (!page) return undefined
    for (const { LastModified } of page.Parts ?? []) if (LastModified && LastModified > last) last = LastModified
    if (!page.IsTruncated || page.NextPartNumberMarker === undefined || page.NextPartNumberMarker === marker)
      return last
    marker = page.NextPartNumberMarker
  }
}

/** Whether it is gone now. One that may not be aborted stays: it costs money, and nothing else. */
async function abort(requests: Requests, { Key, UploadId }: Unfinished): Promise<boolean> {
  const asked = { Bucket: requests.place.bucket, Key, UploadId }
  try {
    await explained(requests, 'write', () =>
      requests.send((client, options, aws) => client.send(new aws.AbortMultipartUploadCommand(asked), options)),
    )
    return true
  } catch (error) {
    if (isAbsent((error as AppError).cause)) return true
    throw error
  }
}
