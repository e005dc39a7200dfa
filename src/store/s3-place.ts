// pure
import { isName, partsOf } from './keys.ts'

/** A bucket, and where in it the store is: a prefix that is empty or ends in `/`. */
export type Place = { name: string; bucket: string; root: string }

/** @param url `s3://bucket/prefix` */
export function placeOf(url: string): Place {
  const [bucket = '', ...parts] = url.slice('s3://'.length).split('/')
  const root = parts.filter((part) => part !== '').join('/')
  return { name: `s3://${bucket}${root && '/'}${root}`, bucket, root: root && `${root}/` }
}

/** A key as the bucket has it. */
export const keyIn = ({ root }: Place, key: string): string => root + partsOf(key).join('/')

/** A prefix of keys as the bucket has it. */
export const prefixIn = ({ root }: Place, prefix: string): string =>
  `${root}${partsOf(prefix).join('/')}${prefix && '/'}`

/** A key of the store; undefined for one that is not ours: a bucket may contain anything. */
export function keyOf({ root }: Place, key: string): string | undefined {
  const rest = key.slice(root.length)
  return key.startsWith(root) && rest.split('/').every(isName) ? rest : undefined
}

const mib = 2 ** 20

/** The parts of an upload are of one size, because some servers want it so. It is known before the size of the object is. */
export const smallestPartBytes = 16 * mib

/** Some servers take no more than this; AWS takes ten times as many. */
const fewestParts = 1000

/** The size of the parts of an object, of which there will be about so many bytes. */
export const partBytesFor = (expectedBytes: number): number =>
  Math.max(smallestPartBytes, Math.ceil(expectedBytes / fewestParts / mib) * mib)
