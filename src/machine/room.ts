// pure
import { AppError, type Kind } from '../errors.ts'
import { visible } from '../text.ts'

/** What a process may use, in bytes. */
export type Memory = {
  /** Of the container or the machine. */
  total: number
  /** V8's heap for objects; texts of more than a megabyte are outside of it. */
  heap: number
}

/** Bytes of the texts that are kept in memory. */
export type Held = { heap: number; outside: number }

/** Bytes needed temporarily to read a file or to send a message: in total, and in the heap. */
export type Need = { total: number; heap: number }

/** Why something does not fit: what is needed, and what is available; both in bytes. */
export type Misfit = { needed: number; limit: number; of: 'memory' | 'heap' | 'string' }

const mebi = 1024 * 1024

/** The most that the program itself uses, measured with Node 24. */
const program = { total: 24 * mebi, heap: 18 * mebi }

/** The longest string of V8. */
const longestText = 2 ** 29 - 24

/** Strings of this length or more are outside the heap. */
const outsideFrom = 1_031_913

/**
 * What reading a file needs: its bytes and its text, which has two bytes for each character if one of them is not ASCII.
 * @param parsing further memory that the format needs for parsing, as a multiple of the file's size
 */
export function needOfFile(bytes: number, ascii: boolean, parsing = 0): Need {
  const text = ascii ? bytes : bytes * 2
  return { total: bytes + text + parsing * bytes, heap: (bytes < outsideFrom ? text : 0) + parsing * bytes }
}

/** What the text takes after reading. */
export const heldOf = (text: string, ascii: boolean): Held => {
  const bytes = ascii ? text.length : text.length * 2
  return text.length < outsideFrom ? { heap: bytes, outside: 0 } : { heap: 0, outside: bytes }
}

/** What sending a message needs: the driver holds it twice. */
export const needOfMessage = (bytes: number): Need => ({ total: bytes * 2 + 2 * mebi, heap: 0 })

/** What linting a long text in parts needs: mostly PostgreSQL's grammar. */
export const needOfLint: Need = { total: 34 * mebi, heap: 0 }

/** Why something does not fit into memory together with what is held; undefined if it fits. */
export function misfit(need: Need, held: Held, memory: Memory, textBytes = 0): Misfit | undefined {
  if (textBytes > longestText) return { needed: textBytes, limit: longestText, of: 'string' }
  const needed = program.total + held.heap + held.outside + need.total
  if (needed > memory.total) return { needed, limit: memory.total, of: 'memory' }
  const heap = program.heap + held.heap + need.heap
  return heap > memory.heap ? { needed: heap, limit: memory.heap, of: 'heap' } : undefined
}

/** Exit 20, or that of `kind`, before anything is started. @param what is done with it, including the size */
export function tooLarge(
  path: string,
  what: string,
  { needed, limit, of }: Misfit,
  kind: Kind = 'migration',
): AppError {
  const where = {
    memory: `needs ${size(needed)} of memory, but this process has ${size(limit)}`,
    heap: `needs ${size(needed)} of Node's heap, which is ${size(limit)}`,
    string: `is more than the ${size(limit)} that Node can hold in one text`,
  }[of]
  const more = of === 'string' ? 'split it into several files' : `give it more memory: ${moreOf(of, needed)}`
  return new AppError(kind, `${visible(path)} is too large: ${what} ${where}`, {
    hint: `${more}; or load the rows as a seed from a CSV file, which takes little memory, whatever its size`,
    file: path,
  })
}

/** In our image, the heap is half of the container's memory. */
const moreOf = (of: 'memory' | 'heap', needed: number) =>
  of === 'memory'
    ? `at least ${size(needed)}`
    : `at least ${size(needed)} for the heap (\`NODE_OPTIONS=--max-old-space-size=${Math.ceil(needed / mebi)}\`), twice that for a container`

export const size = (bytes: number) => `${Math.ceil(bytes / mebi)} MiB`
