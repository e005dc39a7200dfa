/**
 * The form of a password that the server itself would hash: after SASLprep, or unchanged if that is not possible.
 * Clients that skip SASLprep (postgres.js among them) cannot log in with a password that it changes.
 */
export async function preparePassword(password: string): Promise<string> {
  if (Buffer.byteLength(password) === password.length) return password
  const { default: saslprep } = await import('@mongodb-js/saslprep')
  try {
    return saslprep(password)
  } catch {
    return password
  }
}
