import type { Readable } from 'node:stream'

/** An object in a store. */
export type Stored = { key: string; sizeBytes: number; modifiedAt: Date }

/** An object being written: nothing is visible under its key before `commit`. */
export type Upload = {
  /** Bytes in order; resolves when more may be written. */
  write(chunk: Uint8Array): Promise<void>
  /** Makes the object visible, whole and durable (fsync of the file and of its folder, rename between). */
  commit(): Promise<void>
  /** Leaves nothing behind. Harmless after `commit`. */
  abort(): Promise<void>
}

/** Named blobs. Keys are relative, separated by `/`, without `..`. Every store passes test/contracts/store.ts. */
export interface Store {
  /** For messages: `file:///backups`. */
  readonly name: string
  /** Replaces an existing key when it is committed. */
  open(key: string): Promise<Upload>
  /** Rejects with code ENOENT when `key` is absent. */
  read(key: string): Promise<Readable>
  /**
   * All keys below a prefix that ends in `/` or is empty; unfinished uploads are not among them.
   * Those of one folder follow each other. An absent store is empty.
   */
  list(prefix: string): AsyncIterable<Stored>
  /** Names of the folders right below a prefix. */
  folders(prefix: string): Promise<string[]>
  /** Deleting an absent key succeeds. Empty folders disappear. */
  delete(key: string): Promise<void>
  /** Throws `backup` (60) with what to do when nothing can be written here. */
  checkWritable(): Promise<void>
  /** Free bytes, undefined where a store does not know. */
  freeBytes(): Promise<number | undefined>
  /**
   * Removes what unfinished uploads of processes that are gone left behind, older than `olderThanMs`, which may depend on the key;
   * returns their keys. Empty folders disappear.
   */
  sweep(prefix: string, olderThanMs: number | ((key: string) => number)): Promise<string[]>
}
