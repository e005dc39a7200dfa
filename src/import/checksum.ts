import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'

/** The sha256 of what an import reads: the file, with its -wal and its -journal. */
export async function checksumOf(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  for (const end of ['', '-wal', '-journal'].filter((one) => existsSync(`${path}${one}`))) {
    hash.update(`${end}\n`)
    for await (const piece of createReadStream(`${path}${end}`, { signal })) hash.update(piece as Buffer)
  }
  return hash.digest('hex')
}
