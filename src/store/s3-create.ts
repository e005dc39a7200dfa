import { randomUUID } from 'node:crypto'
import { isAbsent, isReplaced, statusOf } from './s3-answers.ts'
import { keyIn } from './s3-place.ts'
import { explained } from './s3-problem.ts'
import type { Requests } from './s3-requests.ts'
import type { Store } from './store.ts'

/** By this an object says who has created it. */
const mark = 'pgbosun-created'

/** Its name is none that a list shows. It stays: that it is there saves half of the next probe. */
const probeName = '.once'

/** Creates objects where the server was seen to refuse a second one. That is found out with the first, and asked again if it was not answered. */
export function creating(requests: Requests): NonNullable<Store['create']> {
  let refuses: boolean | undefined
  return (key, text) =>
    explained(requests, 'write', async () => {
      refuses ??= await refusesSecond(requests)
      return refuses ? createOnce(requests, keyIn(requests.place, key), text) : undefined
    })
}

/** Some servers take the header and ignore it; some answer that they do not know it. */
async function refusesSecond(requests: Requests): Promise<boolean> {
  const Key = requests.place.root + probeName
  for (let tries = 0; tries < 2; tries++)
    try {
      await put(requests, Key, 'pgbosun', randomUUID())
    } catch (error) {
      if (isReplaced(error)) return true
      const status = statusOf(error) ?? 500
      if (status < 500 || status === 501) return false
      throw error
    }
  return false
}

/** An answer may be lost although the object is there, and the second attempt is then refused: whose it is, it says itself. */
async function createOnce(requests: Requests, Key: string, text: string): Promise<boolean> {
  const id = randomUUID()
  try {
    await put(requests, Key, text, id)
    return true
  } catch (error) {
    const { bucket: Bucket } = requests.place
    const found = await requests
      .send((client, options, aws) => client.send(new aws.HeadObjectCommand({ Bucket, Key }), options))
      .catch((cause) => {
        if (isAbsent(cause)) return undefined
        throw error
      })
    // refused, and gone by now
    if (!found && isReplaced(error)) return false
    if (!found) throw error
    return found.Metadata?.[mark] === id
  }
}

const put = ({ send, place: { bucket: Bucket } }: Requests, Key: string, text: string, id: string) => {
  const Body = Buffer.from(text)
  const object = { Bucket, Key, Body, ContentLength: Body.length, Metadata: { [mark]: id }, IfNoneMatch: '*' }
  return send((client, options, aws) => client.send(new aws.PutObjectCommand(object), options))
}
