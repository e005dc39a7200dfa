let collect: NodeJS.GCFunction | undefined

/** V8's own function. It is made once, because it comes with a world of its own, half a megabyte large. */
function collector(): NodeJS.GCFunction {
  if (!collect) {
    process.getBuiltinModule('node:v8').setFlagsFromString('--expose-gc')
    collect = process.getBuiltinModule('node:vm').runInNewContext('gc') as NodeJS.GCFunction
  }
  return collect
}

/** Collects garbage: for code that knows when there is much of it. */
export const collectGarbage = (): void => collector()()

/**
 * Collects all garbage, and with it compiled code that nothing has called for a while, and gives the memory back. It stops everything for
 * 50 ms with a heap of 17 MB: only for a process that stays, after work that is done once. By itself V8 waits until the heap has grown by half.
 */
export const giveBackMemory = (): void => collector()({ type: 'major', execution: 'sync', flavor: 'last-resort' })
