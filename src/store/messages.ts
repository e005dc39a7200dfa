import { AppError, type Kind, type Reason } from '../errors.ts'
import type { Unfinished } from './sweeping.ts'

/**
 * What is asked of the process that reads and writes a folder. `id` is that of the request; `of` that of the request which opened
 * the upload, the object or the list.
 */
export type Request = { id: number } & (
  | { call: 'open' | 'read' | 'delete'; key: string }
  | { call: 'list' | 'folders' | 'unfinished'; prefix: string }
  /** The bytes of the frame of `write` are its chunk. */
  | { call: 'write' | 'commit' | 'abort' | 'next' | 'close'; of: number }
  | { call: 'checkWritable' | 'freeBytes' }
  | { call: 'clear'; left: Unfinished }
)

/** A part of a list, or of an object, whose bytes are those of the frame; `last` if nothing follows. */
export type Part = { rows: StoredRow[]; last: boolean }

/** A key with its size and time, short, because there may be thousands. */
export type StoredRow = [key: string, sizeBytes: number, modifiedAtMs: number]

export type Answer = { id: number; value?: unknown; problem?: Problem }

/** An error without its stack: ours by its kind, one of the system by its code. */
export type Problem = { message: string; kind?: Kind; hint?: string; reason?: Reason } & Pick<
  NodeJS.ErrnoException,
  'code' | 'errno' | 'syscall' | 'path'
>

/** An error as it is sent. */
export function problemOf(error: unknown): Problem {
  const { message, kind, hint, reason, code, errno, syscall, path } = error as AppError & NodeJS.ErrnoException
  return JSON.parse(JSON.stringify({ message, kind, hint, reason, code, errno, syscall, path }))
}

/** An error as it was before it was sent. */
export const errorOf = ({ kind, message, hint, reason, ...system }: Problem): Error =>
  kind === undefined ? Object.assign(new Error(message), system) : new AppError(kind, message, { hint, reason })
