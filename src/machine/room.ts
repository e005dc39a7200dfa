// pure
import { AppError, type Kind } from '../errors.ts'
import { visible } from '../text.ts'

/** What a process may use, in bytes. */
export type Memory = {
  /** Of the container or the machine. */
  total: number
  /** Of V8 for its objects; texts of more than a megabyte are outside of it. */
  heap: number
}

/** Bytes of the texts that are kept. */
export type Held = { heap: number; outside: number }

/** What reading a file, or sending a message, takes for a moment: bytes in all, and of the heap. */
export type Need = { total: number; heap: number }

/** Why something does not fit: what is needed in all, of what there is; both in bytes. */
export type Misfit = { needed: number; limit: number; of: 'memory' | 'heap' | 'string' }

const mebi = 1024 * 1024

/** What the program itself uses at most, measured with Node 24. */
const program = { total: 24 * mebi, heap: 18 * mebi }

/** No text of V8 is longer. */
const longestText = 2 ** 29 - 24

/** Texts are outside of the heap from this length on. */
const outsideFrom = 1_031_913

/**
 * What a file takes while it is read: its bytes and its text, which has two bytes for each character as soon as one is not ASCII.
 * @param parsing how many times its size a format takes besides to take it apart
 */
export function needOfFile(bytes: number, ascii: boolean, parsing = 0): Need {
  const text = ascii ? bytes : bytes * 2
  return { total: bytes + text + parsing * bytes, heap: (bytes < outsideFrom ? text : 0) + parsing * bytes }
}

/** What is kept of it. */
export const heldOf = (text: string, ascii: boolean): Held => {
  const bytes = ascii ? text.length : text.length * 2
  return text.length < outsideFrom ? { heap: bytes, outside: 0 } : { heap: 0, outside: bytes }
}

/** What sending a message takes: the driver has it twice. */
export const needOfMessage = (bytes: number): Need => ({ total: bytes * 2 + 2 * mebi, heap: 0 })

/** What linting a long text takes, part by part: mostly PostgreSQL's grammar. */
export const needOfLint: Need = { total: 34 * mebi, heap: 0 }

/** Whether something fits beside what is held; undefined when it does. */
export function misfit(need: Need, held: Held, memory: Memory, textBytes = 0): Misfit | undefined {
  if (textBytes > longestText) return { needed: textBytes, limit: longestText, of: 'string' }
  const needed = program.total + held.heap + held.outside + need.total
  if (needed > memory.total) return { needed, limit: memory.total, of: 'memory' }
  const heap = program.heap + held.heap + need.heap
  return heap > memory.heap ? { needed: heap, limit: memory.heap, of: 'heap' } : undefined
}

/** Exit 20, or that of another kind, before anything has started. @param what has the size in it */
export function tooLarge(
  path: string,
  what: string,
  { needed, limit, of }: Misfit,
  kind: Kind = 'migration',
): AppError {
  const where = {
    memory: `takes ${size(needed)} of memory, and this process has ${size(limit)}`,
    heap: `takes ${size(needed)} of Node's heap, which has ${size(limit)} here`,
    string: `is more than Node can hold in one text, which is ${size(limit)}`,
  }[of]
  const more = of === 'string' ? 'split it into several files' : `give it more memory: ${moreOf(of, needed)}`
  return new AppError(kind, `${visible(path)} is too large: ${what} ${where}`, {
    hint: `${more}; or load the rows as a seed from a CSV file, which takes the same little memory whatever its size`,
    file: path,
  })
}

/** In the image the heap is half of what the container has. */
const moreOf = (of: 'memory' | 'heap', needed: number) =>
  of === 'memory'
    ? `at least ${size(needed)}`
    : `at least ${size(needed)} for the heap (\`NODE_OPTIONS=--max-old-space-size=${Math.ceil(needed / mebi)}\`), twice that for a container`

export const size = (bytes: number) => `${Math.ceil(bytes / mebi)} MiB`
