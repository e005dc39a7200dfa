import type { S3Settings } from '../config/s3-settings.ts'
import { AppError } from '../errors.ts'
import { statusOf } from './s3-answers.ts'
import { creating } from './s3-create.ts'
import { listFolders, listObjects } from './s3-list.ts'
import { keyIn, placeOf } from './s3-place.ts'
import { explained, problemOf } from './s3-problem.ts'
import { readObject } from './s3-read.ts'
import { type Patience, patience, type Requests, requestsTo } from './s3-requests.ts'
import { sweepUploads } from './s3-sweep.ts'
import { openUpload } from './s3-upload.ts'
import { versionsIn } from './s3-versions.ts'
import type { Store } from './store.ts'

/** What only tests, and the configuration, change. */
export type S3Options = {
  /** Unfinished uploads are never swept before nothing was sent for so long. */
  staleMs?: number
  /** Size of the parts of every upload. */
  partBytes?: number
  patience?: Partial<Patience>
}

/**
 * A store in a bucket of S3, which has to exist.
 * @param url `s3://bucket/prefix`
 */
export function s3Store(url: string, settings: S3Settings, options: S3Options = {}): Store {
  const { staleMs = 0, partBytes } = options
  const requests = requestsTo(placeOf(url), settings, { ...patience, ...options.patience })
  return {
    name: requests.place.name,
    interruptible: true,
    open: async (key, expectedBytes = 0) => openUpload(requests, key, expectedBytes, partBytes),
    read: async (key) => readObject(requests, key),
    list: (prefix) => listObjects(requests, prefix),
    folders: (prefix) => listFolders(requests, prefix),
    delete: (key) => deleteObject(requests, keyIn(requests.place, key)),
    checkWritable: () => probe(requests),
    freeBytes: async () => undefined,
    sweep(prefix, olderThanMs) {
      const ageOf = typeof olderThanMs === 'number' ? () => olderThanMs : olderThanMs
      return sweepUploads(requests, prefix, (key) => Math.max(staleMs, ageOf(key)))
    },
    create: creating(requests),
    versions: versionsIn(requests),
    giveUp: requests.giveUp,
    rest: requests.rest,
  }
}

/** Succeeds if it is not there. */
const deleteObject = async (requests: Requests, Key: string): Promise<void> => {
  const { bucket: Bucket } = requests.place
  await explained(requests, 'delete', () =>
    requests.send((client, options, aws) => client.send(new aws.DeleteObjectCommand({ Bucket, Key }), options)),
  )
}

const isThere = (requests: Requests, object: { Bucket: string; Key: string }): Promise<boolean> =>
  requests
    .send((client, options, aws) => client.send(new aws.HeadObjectCommand(object), options))
    .then(() => true)
    .catch(() => false)

/** Its name is none that a list shows. */
const probeName = '.probe'

/** Writes a small object and deletes it; who may not delete, or not replace what is there, can still make backups. */
async function probe(requests: Requests): Promise<void> {
  const { bucket: Bucket, root } = requests.place
  const object = { Bucket, Key: root + probeName }
  try {
    await requests.send((client, options, aws) =>
      client.send(new aws.PutObjectCommand({ ...object, Body: Buffer.from('pgbosun'), ContentLength: 7 }), options),
    )
  } catch (error) {
    const isLeft = [403, 405, 412].includes(statusOf(error) ?? 0) && (await isThere(requests, object))
    if (!isLeft) throw problemOf(requests, 'write', error)
  }
  await deleteObject(requests, object.Key).catch((error) => {
    if (!(error instanceof AppError)) throw error
  })
}
