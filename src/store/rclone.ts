import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { PassThrough, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { AppError } from '../errors.ts'
import { checked, type Line, type Place, parseAnswer, parseLine, pathOf, placeOf, readingList } from './rclone-place.ts'
import { type Rclone, type RcloneEnded, rcloneWith } from './rclone-run.ts'
import type { Store, Upload } from './store.ts'

/** A remote of rclone, with a process for each call. */
type Remote = { rclone: Rclone; place: Place }

/**
 * A store wherever rclone can write: SFTP, Azure, Google, WebDAV and many more. The remote comes from rclone's own configuration.
 * @param url `rclone://REMOTE/PATH`
 * @param env all that rclone gets to see of the environment
 */
export function rcloneStore(url: string, env: Record<string, string>): Store {
  const remote: Remote = { rclone: rcloneWith(env), place: placeOf(url) }
  const { rclone, place } = remote
  return {
    name: place.name,
    open: async (key) => openUpload(remote, checked(key)),
    read: async (key) => readObject(remote, checked(key)),
    async *list(prefix) {
      for await (const { unfinished, ...stored } of lines(remote, checked(prefix))) if (!unfinished) yield stored
    },
    folders: async (prefix) => (await folders(remote, checked(prefix))) ?? [],
    delete: (key) => deleteObject(remote, checked(key)),
    async checkWritable() {
      const upload = await openUpload(remote, '.probe')
      await upload.write(Buffer.from('pgbosun'))
      await upload.commit()
      await deleteObject(remote, '.probe')
    },
    async freeBytes() {
      const { code, stdout } = await rclone.run(['about', '--json', pathOf(place)])
      const { free } = (code === 0 && (parseAnswer(stdout) as { free?: unknown } | null | undefined)) || {}
      return typeof free === 'number' && free >= 0 ? free : undefined
    },
    async sweep(prefix, olderThanMs) {
      const ageOf = typeof olderThanMs === 'number' ? () => olderThanMs : olderThanMs
      const old: string[] = []
      for await (const { unfinished, key, modifiedAt } of lines(remote, checked(prefix)))
        if (unfinished && Date.now() - modifiedAt.getTime() >= ageOf(key)) old.push(key)
      for (const key of old) await deleteObject(remote, key)
      return old
    },
    rest() {},
    giveUp: rclone.giveUp,
  }
}

/** rclone's own codes: a folder, or a file, that is not there. See https://rclone.org/docs/#list-of-exit-codes. */
const isAbsent = ({ code }: RcloneEnded) => code === 3 || code === 4

/** @throws {AppError} `backup` if a call did not succeed */
function refuseFailure({ place }: Remote, what: string, ended: RcloneEnded): void {
  if (ended.code !== 0) throw failure(place, what, ended)
}

const failure = ({ name, remote }: Place, what: string, { code, said }: RcloneEnded) =>
  new AppError('backup', `${name} cannot be ${what}: rclone ended with exit code ${code}: ${said}`, {
    ...(what !== 'written' && { reason: 'store-unreadable' as const }),
    hint: `try \`rclone lsd ${remote}:\` with the same user and environment as pgbosun`,
  })

/** Under a name of its own first: some remotes show what is only half there. */
async function openUpload(remote: Remote, key: string): Promise<Upload> {
  const { rclone, place } = remote
  const temporary = `${key}.${randomBytes(4).toString('hex')}.partial`
  const call = rclone.start(['rcat', pathOf(place, temporary)])
  call.stdout.resume()
  let bytes = 0
  let isOpen = true
  const remove = async () => {
    if ((await rclone.run(['lsjson', '--stat', pathOf(place, temporary)])).code === 0)
      await deleteObject(remote, temporary)
  }
  return {
    async write(chunk) {
      bytes += chunk.length
      // what is written is used up before the caller overwrites it
      const written = new Promise<void>((resolve) => call.stdin.write(chunk, () => resolve()))
      const ended = await Promise.race([written, call.ended])
      if (ended) throw failure(place, 'written', ended)
    },
    async commit() {
      call.stdin.end()
      refuseFailure(remote, 'written', await call.ended)
      await refuseShort(remote, temporary, bytes)
      refuseFailure(remote, 'written', await rclone.run(['moveto', pathOf(place, temporary), pathOf(place, key)]))
      isOpen = false
    },
    async abort() {
      if (!isOpen) return
      isOpen = false
      call.kill()
      await call.ended.catch(() => {})
      await remove()
    },
  }
}

/** What arrived has to be as long as what was sent. */
async function refuseShort(remote: Remote, key: string, bytes: number): Promise<void> {
  const found = await stat(remote, key)
  if (found !== bytes)
    throw new AppError('backup', `${remote.place.name}: of ${bytes} bytes of ${key}, ${found ?? 0} arrived`, {
      hint: 'check the remote and its free space, then run it again',
    })
}

/** The size of an object; undefined if it does not exist. */
async function stat(remote: Remote, key: string): Promise<number | undefined> {
  const ended = await remote.rclone.run(['lsjson', '--stat', '--no-mimetype', pathOf(remote.place, key)])
  if (isAbsent(ended)) return undefined
  refuseFailure(remote, 'read', ended)
  const found = parseAnswer(ended.stdout) as { Size?: unknown; IsDir?: unknown } | null | undefined
  if (found === null || found?.IsDir === true) return undefined
  if (typeof found?.Size !== 'number') throw noAnswer(remote.place, key)
  return found.Size
}

const noAnswer = ({ name, remote }: Place, key: string) =>
  new AppError('backup', `${name} cannot be read: rclone succeeded, and does not say whether ${key} is there`, {
    reason: 'store-unreadable',
    hint: `look at what \`rclone lsjson ${remote}:\` writes, with the same user and environment as pgbosun`,
  })

/** `rclone cat` of an object that is not there may be empty and succeed, so it is asked for first. */
async function readObject(remote: Remote, key: string): Promise<Readable> {
  const size = await stat(remote, key)
  if (size === undefined) throw Object.assign(new Error(`ENOENT: ${key}`), { code: 'ENOENT' })
  const call = remote.rclone.start(['cat', pathOf(remote.place, key)])
  call.stdin.end()
  const body = new PassThrough()
  const copied = pipeline(
    call.stdout,
    async function* (chunks: AsyncIterable<Buffer>) {
      yield* chunks
      // the end of its output alone says nothing
      refuseFailure(remote, 'read', await call.ended)
    },
    body,
  )
  copied.catch(() => {})
  body.once('close', call.kill)
  return body
}

/** So often a list is asked for again, because a folder was deleted while it was being made. */
const mostLists = 3

/** Everything below a prefix. A folder that does not exist is empty. */
async function* lines(remote: Remote, below: string): AsyncGenerator<Line> {
  for (let tries = 1; ; tries++) {
    const listed = await listOnce(remote, ['--recursive', '--files-only'], below)
    // the same code is that of a folder somewhere below, which went while it was being listed
    const isUnknown = isAbsent(listed.ended)
    if (isUnknown && (await folders(remote, below)) === undefined) return
    if (isUnknown && tries < mostLists) continue
    refusePart(remote, listed)
    yield* listed.found.sort((a, b) => (a.key < b.key ? -1 : 1))
    return
  }
}

/** Names of the folders right below a prefix; undefined if it does not exist itself. */
async function folders(remote: Remote, below: string): Promise<string[] | undefined> {
  const listed = await listOnce(remote, ['--dirs-only'], below)
  if (isAbsent(listed.ended)) return undefined
  refusePart(remote, listed)
  return listed.found.map(({ key }) => key.slice(below === '' ? 0 : below.length + 1))
}

/** `whole`: whether it is a list with its end, and nothing in it is unknown. */
type Listed = { found: Line[]; ended: RcloneEnded; whole: boolean }

async function listOnce({ rclone, place }: Remote, flags: string[], below: string): Promise<Listed> {
  const call = rclone.start(['lsjson', ...flags, '--no-mimetype', pathOf(place, below)])
  call.stdin.end()
  const found: Line[] = []
  const list = readingList()
  for await (const text of createInterface({ input: call.stdout })) {
    const line = list.isEntry(text) ? parseLine(text, below) : undefined
    if (line) found.push(line)
  }
  return { found, ended: await call.ended, whole: list.isWhole() }
}

/** Half a list would look like a store that has lost something. */
function refusePart(remote: Remote, { ended, whole }: Listed): void {
  refuseFailure(remote, 'listed', ended)
  if (!whole) throw noList(remote.place)
}

/** A script in place of rclone, or one that was cut off, is no empty store. */
const noList = ({ name, remote }: Place) =>
  new AppError('backup', `${name} cannot be listed: rclone succeeded, and what it wrote is no whole list`, {
    reason: 'store-unreadable',
    hint: `look at what \`rclone lsjson ${remote}:\` writes, with the same user and environment as pgbosun`,
  })

/** Succeeds if it is not there. A folder that becomes empty goes too, where there are folders. */
async function deleteObject(remote: Remote, key: string): Promise<void> {
  const ended = await remote.rclone.run(['deletefile', pathOf(remote.place, key)])
  if (ended.code !== 0 && (await stat(remote, key)) !== undefined) throw failure(remote.place, 'changed', ended)
  for (let parts = key.split('/').slice(0, -1); parts.length > 0; parts = parts.slice(0, -1)) {
    const { code } = await remote.rclone.run(['rmdir', pathOf(remote.place, parts.join('/'))])
    if (code !== 0) return
  }
}
