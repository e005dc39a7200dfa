import { AppError } from '../errors.ts'

/** Exit 60: a call of a store has not returned for so long that nobody waits for it any more. */
export const unanswered = (name: string) =>
  new AppError(
    'backup',
    `${name} does not answer: ${name.startsWith('file:') ? 'a file call' : 'a request'} has not returned`,
    {
      reason: 'store-unreadable',
      hint: `check ${name.startsWith('file:') ? 'the volume or the file server' : 'the server'} of the store; what is left there unfinished is removed before the next backup`,
    },
  )
