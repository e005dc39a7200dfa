import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'

/** An identity in a file of its own, as `age-keygen` writes it. */
export type Key = { identity: string; recipient: string; path: string }

/** Makes an identity, and writes it below a folder. */
export async function makeKey(dir: string, name: string): Promise<Key> {
  const identity = await generateX25519Identity()
  const recipient = await identityToRecipient(identity)
  const path = join(dir, `${name}.txt`)
  writeFileSync(path, `# created: 2026-11-30T03:00:00Z\n# public key: ${recipient}\n${identity}\n`, { mode: 0o600 })
  return { identity, recipient, path }
}

/** `backup.encrypt`, with the identity of the first key where one is wanted. */
export const encryptFor = (keys: Key[], identity?: Key) => ({
  recipients: keys.map(({ recipient }) => recipient),
  ...(identity && { identity: { file: identity.path } }),
})

/** The folder of Debian's `age`; undefined where it cannot be had, which is said in a line. */
export const ageFolder: string | undefined = (() => {
  try {
    return execFileSync('bash', [join(import.meta.dirname, '../../scripts/age.sh')], { encoding: 'utf8' }).trim()
  } catch (error) {
    console.warn(`NOT RUN: the tests with the program age: ${String((error as { stderr?: unknown }).stderr).trim()}`)
    return undefined
  }
})()
