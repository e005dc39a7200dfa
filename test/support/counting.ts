import type { Store } from '../../src/store/store.ts'

/** A store that notes what it is asked, like `list shop/`; `asked` empties the notes. */
export function counting(store: Store): { store: Store; asked(): string[] } {
  let notes: string[] = []
  const noting =
    <A extends [string, ...unknown[]], R>(name: string, ask: (...args: A) => R) =>
    (...args: A): R => {
      notes.push(`${name} ${args[0]}`)
      return ask(...args)
    }
  return {
    store: {
      ...store,
      open: noting('write', store.open),
      read: noting('read', store.read),
      list: noting('list', store.list),
      folders: noting('folders', store.folders),
      delete: noting('delete', store.delete),
      sweep: noting('sweep', store.sweep),
    },
    asked() {
      const asked = notes
      notes = []
      return asked
    },
  }
}
