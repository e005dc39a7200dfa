import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { type FolderProcess, startFolderProcess } from './folder-process.ts'
import type { Part } from './messages.ts'
import type { Store, Stored, Upload } from './store.ts'
import { type Sweeping, sweepWith, type Unfinished } from './sweeping.ts'
import { unanswered } from './unanswered.ts'

/**
 * A store in a folder, whose file calls are made by a process of its own. A file call may never return, and then no signal reaches it: on
 * a hard NFS mount whose server is gone, for example. That process can be killed; this one stays able to answer, and to end.
 * It is started with the first call, and again after it ended.
 *
 * @param url `file:///backups`
 */
export function storeApart(url: string): Store {
  let running: FolderProcess | undefined
  const folder = async (): Promise<FolderProcess> => {
    if (running && !running.ended) return running
    // One that cannot be killed still hangs in a file call. Others would hang there too, and each of them needs memory.
    if (running && !(await isGone(running))) throw unanswered(url)
    if (!running || running.ended) running = startFolderProcess(url)
    return running
  }
  const ask = async <T>(request: Parameters<FolderProcess['ask']>[0]) =>
    (await (await folder()).ask(request)).value as T
  const sweeping: Sweeping = {
    unfinished: (prefix) => ask<Unfinished>({ call: 'unfinished', prefix }),
    clear: (left) => ask({ call: 'clear', left }),
  }
  return {
    name: url,
    open: async (key) => openUpload(await folder(), key),
    read: async (key) => readObject(await folder(), key),
    list: (prefix) => listKeys(folder, prefix),
    folders: (prefix) => ask({ call: 'folders', prefix }),
    delete: (key) => ask({ call: 'delete', key }),
    checkWritable: () => ask({ call: 'checkWritable' }),
    freeBytes: () => ask({ call: 'freeBytes' }),
    sweep: (prefix, olderThanMs) => sweepWith(sweeping, prefix, olderThanMs),
    giveUp: (error) => running?.kill(error),
    rest: () => running?.rest(),
  }
}

const goneWithinMs = 1_000

async function isGone({ gone }: FolderProcess): Promise<boolean> {
  const late = new AbortController()
  const waited = sleep(goneWithinMs, false, { signal: late.signal }).catch(() => false)
  const isGone = await Promise.race([gone.then(() => true), waited])
  late.abort()
  return isGone
}

async function openUpload(folder: FolderProcess, key: string): Promise<Upload> {
  const { id: of } = await folder.ask({ call: 'open', key })
  const release = folder.hold()
  let open = true
  const close = () => {
    if (open) release()
    open = false
  }
  return {
    async write(chunk) {
      await folder.ask({ call: 'write', of }, chunk)
    },
    async commit() {
      await folder.ask({ call: 'commit', of })
      close()
    },
    async abort() {
      if (!open) return
      close()
      // With the process went what would remove it: the next sweep does.
      if (!folder.ended) await folder.ask({ call: 'abort', of })
    },
  }
}

async function readObject(folder: FolderProcess, key: string): Promise<Readable> {
  let upcoming: Answering | undefined = folder.ask({ call: 'read', key })
  const { id: of } = await upcoming
  const opened = holding(folder, of)
  return new Readable({
    highWaterMark: readBytes,
    read() {
      const asked = upcoming ?? folder.ask({ call: 'next', of })
      upcoming = undefined
      asked.then(
        ({ value, bytes }) => {
          if (bytes) this.push(bytes)
          if (!(value as Part).last) return
          opened.ended()
          this.push(null)
        },
        (error: Error) => this.destroy(error),
      )
    },
    destroy(error, done) {
      opened.close()
      done(error)
    },
  })
}

/** So much is read while what came before is used. */
const readBytes = 512 * 1024

async function* listKeys(start: () => Promise<FolderProcess>, prefix: string): AsyncGenerator<Stored> {
  const folder = await start()
  const first = await folder.ask({ call: 'list', prefix })
  const opened = holding(folder, first.id)
  try {
    for (let { rows, last } = first.value as Part; ; ) {
      if (last) opened.ended()
      const upcoming = last ? undefined : folder.ask({ call: 'next', of: first.id })
      upcoming?.catch(() => {}) // whoever takes the keys so far is told after them
      for (const [key, sizeBytes, modifiedAtMs] of rows) yield { key, sizeBytes, modifiedAt: new Date(modifiedAtMs) }
      if (!upcoming) return
      ;({ rows, last } = (await upcoming).value as Part)
    }
  } finally {
    opened.close()
  }
}

type Answering = ReturnType<FolderProcess['ask']>

/** Keeps the process while something is read there. `ended` says that nothing is left to be closed. */
function holding(folder: FolderProcess, of: number): { ended(): void; close(): void } {
  let release: (() => void) | undefined = folder.hold()
  const ended = () => {
    release?.()
    release = undefined
  }
  return {
    ended,
    close() {
      if (release && !folder.ended) folder.ask({ call: 'close', of }).catch(() => {})
      ended()
    },
  }
}
