/** Loaded at first use, because loading takes a millisecond: too long for a run that finds nothing to do. */
const setFlag = (flag: string): void => process.getBuiltinModule('node:v8').setFlagsFromString(flag)

/**
 * Call this before streaming a database through the process. Buffers make V8 collect its small heap again and again;
 * without incremental marking a whole backup takes a fifth less processor time.
 */
export const tuneForStreams = (): void => setFlag('--no-incremental-marking')

/**
 * Call this before translating rows, or comparing tens of thousands of objects: what each of them leaves behind is garbage at once, and better
 * collected often than kept.
 */
export const tuneForRows = (): void => setFlag('--semi-space-growth-factor=1')

const littleBytes = 192 * 1024 * 1024

/**
 * V8 lets the young part of its heap grow to 48 MB before it collects garbage, however little memory a container has. Where there is
 * little, that part keeps its initial size: reading 10,000 manifests then takes 55 MiB instead of 65 (and a quarter more time).
 */
export function tuneForLittleMemory(): void {
  if (process.constrainedMemory() >= littleBytes) return
  setFlag('--semi-space-growth-factor=1')
  // for code that reads thousands of things, and knows when they are garbage
  globalThis.gc = ((how) => {
    setFlag('--expose-gc')
    globalThis.gc = process.getBuiltinModule('node:vm').runInNewContext('gc') as NodeJS.GCFunction
    globalThis.gc(how as NodeJS.GCOptions)
  }) as NodeJS.GCFunction
}

/** Until a run has used this much processor time, its heap has not grown, and V8 compiles nothing in the background. */
const shortRunMs = 200

/**
 * Ends the process without waiting for servers to close their end, or for output that is still to be written: see `end` in streams.ts.
 *
 * Node 24 can hang for ever in process.exit(): it waits for V8's threads, and one of them, which compiles with Maglev or Sparkplug,
 * waits for the main thread to collect garbage (nodejs/node#54918). So we stop V8 from compiling anything more, and collect the garbage
 * first, which takes 5 ms: then a compilation that is still running has the memory it needs. A program that hung in one of five runs
 * ended in 1,000 of 1,000 runs this way (test/exit.int.test.ts). A short run does not need this, however long it has waited.
 */
export function exit(code: number): never {
  if (isWaitingForSystem() && isFlushed()) leaveAtOnce(code)
  // After the other listeners: one of them writes the code cache, which is only valid for the flags set at that moment.
  if (processorMs() > shortRunMs) process.once('exit', calmThreads)
  process.exit(code)
}

function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

function calmThreads(): void {
  for (const flag of ['--no-maglev', '--no-concurrent-sparkplug', '--expose-gc']) setFlag(flag)
  process.getBuiltinModule('node:vm').runInNewContext('gc')()
}

/**
 * `process.exit()` also waits for the threads in which libuv resolves a name or calls the file system. The one waits for name servers that
 * do not answer: 10 s for one of them, longer for several or with a search list; Kubernetes kills the container after 30 s. The other may
 * never return: from a FIFO that nobody writes to, or a file server that is gone.
 */
const isWaitingForSystem = () => process.getActiveResourcesInfo().some((name) => callsOfThreads.includes(name))
const callsOfThreads = ['GetAddrInfoReqWrap', 'FSReqPromise', 'FSReqCallback']

const isFlushed = () => process.stdout.writableLength + process.stderr.writableLength === 0

/** Replacing this process with another program ends all its threads; that program only sets the exit code. SIGKILL does where that cannot be done. */
function leaveAtOnce(code: number): void {
  process.emit('exit', code)
  process.execve?.(process.execPath, [process.execPath, '-e', `process.exit(${code})`])
  process.kill(process.pid, 'SIGKILL')
}
