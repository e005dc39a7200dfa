// pure
/**
 * Passwords that this process itself has changed on the server, by user: the secret of the connection still says the old one, and
 * logs nobody in any more. As soon as it says anything else, that is what counts.
 */
const replaced = new Map<string, { old: string; now: string }>()

/** To be called right after the password of a user that we connect as was changed. */
export const noteReplaced = (user: string, old: string, now: string): void => void replaced.set(user, { old, now })

/** The password to log in with, given what the secret of the connection says. */
export function currentPassword(user: string, read: string | undefined): string | undefined {
  const change = replaced.get(user)
  return change !== undefined && change.old === read ? change.now : read
}
