import type { Kind } from '../errors.ts'
import {
  type Held,
  heldOf,
  type Memory,
  misfit,
  needOfFile,
  needOfLint,
  needOfMessage,
  size,
  tooLarge,
} from './room.ts'

/** What this process may use. Read once for each folder, because that takes as long as reading a file. */
let memory: Memory | undefined

function memoryHere(): Memory {
  memory ??= readMemory()
  return memory
}

function readMemory(): Memory {
  const machine = process.getBuiltinModule('node:os').totalmem()
  const container = process.constrainedMemory()
  const { heap_size_limit: heap } = process.getBuiltinModule('node:v8').getHeapStatistics()
  return { total: container > 0 ? Math.min(container, machine) : machine, heap }
}

/** Memory of the texts of the folder that is being read, or was read last. */
let held: Held = { heap: 0, outside: 0 }

/** Reads a folder, and counts the memory that its files take. */
export function countingTexts<T>(read: () => T): T {
  held = { heap: 0, outside: 0 }
  memory = undefined
  return read()
}

/** Memory that the texts of the folder that was read last take. */
export const heldTexts = (): Held => held

/** Counts a text that was read. */
export function keepText(text: string, ascii: boolean): void {
  const { heap, outside } = heldOf(text, ascii)
  held = { heap: held.heap + heap, outside: held.outside + outside }
}

const littleBytes = 128 * 1024

/**
 * @param ascii   whether the text is ASCII; true if that is unknown
 * @param parsing see {@link needOfFile}
 * @throws {AppError} `migration`, or `kind`, if the file does not fit into memory together with those that were read before
 */
export function refuseLargeFile(
  path: string,
  bytes: number,
  { ascii, parsing, kind }: { ascii: boolean; parsing?: number | undefined; kind?: Kind },
): void {
  // asking what there is takes longer than reading a few small files, which fit wherever the program does
  if (held.heap + held.outside + bytes < littleBytes) return
  const lacks = misfit(needOfFile(bytes, ascii, parsing), held, memoryHere(), bytes)
  if (!lacks) return
  const others = held.heap + held.outside > bytes / 4 ? `, after others of ${size(held.heap + held.outside)},` : ''
  throw tooLarge(path, `reading its ${size(bytes)}${others}`, lacks, kind)
}

/** Frees the memory of a large file at once, because a garbage collection might come too late. The buffer is then unusable. */
export function release({ buffer, byteLength }: Buffer): void {
  if (byteLength > largeBytes && byteLength === buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0)
}

const largeBytes = 1024 * 1024

const smallMessage = 1024 * 1024

/**
 * A single statement, such as one INSERT of a million rows, cannot be split, and is sent as one message.
 * @throws {AppError} `migration`, or `kind`, if that does not fit into memory
 */
export function refuseLargeMessage(path: string, pieces: readonly { text: string }[], kind?: Kind): void {
  for (const { text } of pieces) {
    if (text.length < smallMessage) continue
    const bytes = Buffer.byteLength(text)
    const lacks = misfit(needOfMessage(bytes), held, memoryHere())
    if (lacks) throw tooLarge(path, `sending one statement of ${size(bytes)}`, lacks, kind)
  }
}

/** Texts longer than this are parsed in parts by the linter. */
const longText = 256 * 1024

/** @throws {AppError} `migration` if the linter does not have enough memory for the file */
export function refuseLargeLint(path: string, text: string): void {
  const lacks = text.length > longText ? misfit(needOfLint, held, memoryHere()) : undefined
  if (lacks) throw tooLarge(path, `linting its ${size(text.length)}`, lacks)
}
