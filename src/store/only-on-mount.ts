import { AppError } from '../errors.ts'
import { readMounts } from '../machine/mounts.ts'
import { isMounted } from './persistence.ts'
import type { Store } from './store.ts'

/** A store in a folder that nothing is written to unless a volume is mounted there, or above it. */
export const onlyOnMount = (store: Store): Store => ({
  ...store,
  async checkWritable() {
    if (!isMounted(store.name, readMounts()))
      throw new AppError('backup', `${store.name} is not on a volume of its own, as mustBeMount demands`, {
        hint: 'mount the volume there, or remove mustBeMount',
      })
    await store.checkWritable()
  },
})
