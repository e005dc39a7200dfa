import type { Store } from './store.ts'

/** A store whose code is loaded with its first call. */
export function lazily(name: string, load: () => Promise<Store>, { hasVersions = false } = {}): Store {
  let store: Store | undefined
  let loading: Promise<Store> | undefined
  const get = () => {
    loading ??= load().then((loaded) => {
      store = loaded
      return loaded
    })
    return loading
  }
  const versions = async () => (await get()).versions!
  return {
    name,
    interruptible: true,
    ...(hasVersions && {
      versions: {
        keeps: async () => (await versions()).keeps(),
        deleted: async (prefix: string) => (await versions()).deleted(prefix),
        read: async (key: string, version: string) => (await versions()).read(key, version),
      },
    }),
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
