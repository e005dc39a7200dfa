import type { Store } from './store.ts'

/** A store whose code is loaded with its first call. */
export function lazily(name: string, load: () => Promise<Store>): Store {
  let store: Store | undefined
  let loading: Promise<Store> | undefined
  const get = () => {
    loading ??= load().then((loaded) => {
      store = loaded
      return loaded
    })
    return loading
  }
  return {
    name,
    interruptible: true,
    open: async (key, expectedBytes) => (await get()).open(key, expectedBytes),
    read: async (key) => (await get()).read(key),
    async *list(prefix) {
      yield* (await get()).list(prefix)
    },
    folders: async (prefix) => (await get()).folders(prefix),
    delete: async (key) => (await get()).delete(key),
    checkWritable: async () => (await get()).checkWritable(),
    freeBytes: async () => (await get()).freeBytes(),
    sweep: async (prefix, olderThanMs) => (await get()).sweep(prefix, olderThanMs),
    rest: () => store?.rest(),
    giveUp: (error) => store?.giveUp(error),
  }
}
