import { AppError } from '../errors.ts'

/** Exit 60: a file call of a store has not returned for so long that nobody waits for it any more. */
export const unanswered = (name: string) =>
  new AppError('backup', `${name} does not answer: a file call has not returned`, {
    reason: 'store-unreadable',
    hint: 'check the volume or the file server of the store; what is left there unfinished is removed before the next backup',
  })
