import type { Readable } from 'node:stream'

/** An object in a store. */
export type Stored = {
  key: string
  sizeBytes: number
  modifiedAt: Date
  /** Another one for another content, without blanks, where the store has it. */
  etag?: string
}

/** An object that was deleted, and a version of it that was kept. */
export type DeletedObject = Stored & { version: string }

/** What a store keeps of objects that were deleted. */
export type Versions = {
  /** Whether it does; undefined if nobody may ask. */
  keeps(): Promise<boolean | undefined>
  /** The newest version of each deleted object below a prefix, by key. */
  deleted(prefix: string): Promise<DeletedObject[]>
  read(key: string, version: string): Promise<Readable>
}

/** An object being written: nothing is visible under its key before `commit`. */
export type Upload = {
  /** Appends bytes; resolves when more may be written. */
  write(chunk: Uint8Array): Promise<void>
  /** Makes the object visible, whole and durable (fsync of the file and of its folder, rename between). */
  commit(): Promise<void>
  /** Removes what was written. Does nothing after `commit`. */
  abort(): Promise<void>
}

/** Several stores, read as one: each backup from one of them. */
export type Several = {
  readonly stores: readonly Store[]
  /** The stores that have what is in a folder, the one to read it from first. */
  prefer(folder: string, stores: readonly Store[]): void
  /** Those stores; all, where nobody has said which. */
  having(folder: string): readonly Store[]
  /** Where what is in a folder is read from now. */
  current(folder: string): Store
  /** From now on it is read from the next store that has it. Undefined, and nothing changes, where there is none. */
  next(folder: string): Store | undefined
  /** The stores that could not be listed the last time, and why. */
  readonly unread: ReadonlyMap<Store, Error>
  /** Why a store cannot be listed; undefined: it was. */
  note(store: Store, unread: Error | undefined): void
}

/** Named blobs. Keys are relative, separated by `/`, without `..`. Every store passes test/contracts/store.ts. */
export interface Store {
  /** For messages: `file:///backups`. */
  readonly name: string
  /**
   * Starts writing an object, which replaces an existing one when it is committed.
   * @param expectedBytes about how large it will be, rather too much than too little; without it, small
   */
  open(key: string, expectedBytes?: number): Promise<Upload>
  /** Rejects with code ENOENT if the key does not exist. */
  read(key: string): Promise<Readable>
  /**
   * All keys below a prefix that ends in `/` or is empty; unfinished uploads are not among them.
   * Those of one folder follow each other. An absent store is empty.
   */
  list(prefix: string): AsyncIterable<Stored>
  /** Names of the folders directly below a prefix; perhaps also of one that has become empty. */
  folders(prefix: string): Promise<string[]>
  /** Deletes a key, if it exists, and folders that become empty. */
  delete(key: string): Promise<void>
  /** Throws `backup` (60) with a hint if nothing can be written here. */
  checkWritable(): Promise<void>
  /** Free bytes; undefined if the store does not know. */
  freeBytes(): Promise<number | undefined>
  /**
   * Removes what unfinished uploads of processes that are gone left behind, older than `olderThanMs`, which may depend on the key;
   * returns their keys. Empty folders disappear.
   */
  sweep(prefix: string, olderThanMs: number | ((key: string) => number)): Promise<string[]>
  /** Gives back the memory that many calls have taken, if nothing is being asked. */
  rest(): void
  /** Ends every call that has not returned, with this error, where that is possible. Later calls work, or hang again. */
  giveUp(error: Error): void
  /** Where it is several stores taken together: see src/archive/several.ts. */
  readonly several?: Several
  /** Whether `giveUp` ends a call and nothing else, so that it can be used at once when the work is told to stop. */
  readonly interruptible?: boolean
  /**
   * Writes a small object where none is. Only of stores whose server may refuse a second one.
   * @returns whether this call wrote it; undefined, and nothing is written, if the server was seen to take a second one
   */
  readonly create?: (key: string, text: string) => Promise<boolean | undefined>
  /** Only of stores that may keep what is deleted. */
  readonly versions?: Versions
}
