import { afterAll, describe } from 'vitest'
import { s3Store } from '../src/store/s3.ts'
import { storeContract } from './contracts/store.ts'
import { type S3Server, startMoto, startSeaweed } from './support/s3.ts'

const seaweed = await startSeaweed()
const moto = await startMoto()
const servers = [seaweed, moto].filter((one): one is S3Server => one !== undefined)
afterAll(async () => {
  for (const one of servers) await one.end()
})

/** The smallest part that AWS takes. */
const partBytes = 5 * 2 ** 20

describe.runIf(servers.length > 0).each(servers)('S3', (server) => {
  let prefixes = 0
  let bucket: Promise<string> | undefined
  const make = async () => {
    bucket ??= server.bucket()
    return s3Store(`s3://${await bucket}/some/prefix${++prefixes}`, server.settings, { partBytes })
  }
  // a part is sent once there is more
  storeContract(server.name, make, { unfinishedBytes: 2 * partBytes + 1, foldersStay: server === seaweed })
})
