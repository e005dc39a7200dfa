/** Loaded at first use: it takes a millisecond, which a run that finds nothing to do does not have. */
const setFlag = (flag: string): void => process.getBuiltinModule('node:v8').setFlagsFromString(flag)

/**
 * To be called before streaming a database through the process. Buffers make V8 collect its small heap again and again;
 * in one go that costs a fifth less processor time for the whole backup than in many small steps.
 */
export const tuneForStreams = (): void => setFlag('--no-incremental-marking')

const littleBytes = 192 * 1024 * 1024

/**
 * V8 lets what is new fill up to 48 MB before it looks for garbage, however little memory a container has. Where there is little,
 * that part of the heap stays as small as it begins: 10,000 manifests are read in 55 MiB then, and not in 65 (a quarter slower).
 */
export function tuneForLittleMemory(): void {
  if (process.constrainedMemory() >= littleBytes) return
  setFlag('--semi-space-growth-factor=1')
  // for who reads thousands of something, and knows when it is garbage
  globalThis.gc = (() => {
    setFlag('--expose-gc')
    globalThis.gc = process.getBuiltinModule('node:vm').runInNewContext('gc') as NodeJS.GCFunction
    globalThis.gc()
  }) as NodeJS.GCFunction
}

const heapIsSmallForSeconds = 0.2

/**
 * Ends the process without waiting for servers to close their end, nor for what is still to be written: see `end` in streams.ts.
 *
 * Node 24 can hang for ever in process.exit(): it waits for V8's threads, and one of them, which compiles with Maglev or Sparkplug,
 * waits for the main thread to collect garbage (nodejs/node#54918). So nothing is compiled from here on, and the garbage
 * is collected first, which takes 5 ms: what is still being compiled then has the room it needs. A program that hung in
 * one of five runs ended in 1,000 of 1,000 then (test/exit.int.test.ts). A run too short for its heap to have grown is spared that.
 */
export function exit(code: number): never {
  if (isAskingNameServer() && isFlushed()) leaveAtOnce(code)
  // Behind the other listeners: one of them writes the code cache, which holds for the flags of that moment.
  if (process.uptime() > heapIsSmallForSeconds) process.once('exit', calmThreads)
  process.exit(code)
}

function calmThreads(): void {
  for (const flag of ['--no-maglev', '--no-concurrent-sparkplug', '--expose-gc']) setFlag(flag)
  process.getBuiltinModule('node:vm').runInNewContext('gc')()
}

/**
 * `process.exit()` also waits for the thread in which libuv asks for an address, and that for name servers that do not answer:
 * 10 s with one of them, longer with several or with a search list, while Kubernetes waits for 30 s and then kills.
 */
const isAskingNameServer = () => process.getActiveResourcesInfo().includes('GetAddrInfoReqWrap')

const isFlushed = () => process.stdout.writableLength + process.stderr.writableLength === 0

/** Another program in the place of this one ends all of its threads; this one only has an exit code. */
function leaveAtOnce(code: number): void {
  process.emit('exit', code)
  process.execve?.(process.execPath, [process.execPath, '-e', `process.exit(${code})`])
}
