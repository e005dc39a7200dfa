// pure
/**
 * What is known of a declared password where pg_authid may not be read. `in place`: nothing has to be done; `differs`: the server
 * refuses it; `unknown`: nobody can tell, and it was not remembered either.
 */
export type Standing = 'in place' | 'differs' | 'unknown'

/**
 * The answer of the server to a login. `asked`: it asked for the password, so the answer is about that. Otherwise anybody is let in
 * (trust), or something else counts (peer, cert), or the login came to nothing before.
 */
export type LoginAnswer = { asked: boolean; code: string | undefined }

/**
 * What a login says of the password; undefined if nothing.
 *
 * Once the server has asked for the password, everything but 28P01 comes after it was found right: no LOGIN (28000), too many
 * connections of the role (53300), no CONNECT (42501), no such database (3D000). 28P01 also means that the role has expired or has no password.
 * Measured on 13 to 18.
 */
export function judgeLogin({ asked, code }: LoginAnswer, expired: boolean): 'right' | 'wrong' | undefined {
  if (!asked) return undefined
  if (code === undefined || ['28000', '53300', '42501', '3D000'].includes(code)) return 'right'
  return code === '28P01' && !expired ? 'wrong' : undefined
}

/** Why a password is set that could not be compared. */
export const whySet = (standing: Standing): string =>
  standing === 'differs'
    ? 'the server refuses the declared one'
    : 'cannot be compared with what the server has, and is not remembered from an earlier run'
