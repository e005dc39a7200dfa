// pure
/**
 * Passwords that this process has changed on the server, by user. The secret of the connection still holds the old one, which no
 * longer works. As soon as the secret holds anything else, that is used.
 */
const replaced = new Map<string, { old: string; now: string }>()

/** Call this right after changing the password of a user that we connect as. */
export const noteReplaced = (user: string, old: string, now: string): void => void replaced.set(user, { old, now })

/** The password to log in with. @param read what the secret of the connection holds */
export function currentPassword(user: string, read: string | undefined): string | undefined {
  const change = replaced.get(user)
  return change !== undefined && change.old === read ? change.now : read
}
