import { storedDatabases } from '../../archive/backup.ts'
import { readAllBackups } from '../../archive/catalog.ts'
import { openStore } from '../../archive/open.ts'
import { checkKeys, type KeyCheck } from '../../backup/keys.ts'
import { readKeys } from '../../config/keys.ts'
import { AppError, usage } from '../../errors.ts'
import { fingerprintsOf } from '../../store/age.ts'
import { counted, plural, someOf } from '../../units.ts'
import type { Command } from '../command.ts'

/** `backup keys check`: which backups the identities open. */
export const backupKeysCheck: Command = {
  name: 'backup keys check',
  details:
    'Reads the beginning of every encrypted backup in the store, and no more: whether the rest is whole is for `backup verify`. Needs backup.encrypt.identity.',
  flags: {},
  startsAnew: true,
  exits: {
    backup: 'the store cannot be read',
    corrupt: 'there is a backup that no identity opens, or that cannot be read',
  },
  async run({ flags, loaded, out, signal }) {
    const { identities, secrets } = readKeys(loaded.config, loaded.env, loaded.baseDir)
    if (identities.length === 0)
      throw usage('there is no identity to check', { hint: 'set backup.encrypt.identity to the file of an identity' })
    const store = openStore(loaded, signal)
    const only = typeof flags.database === 'string' ? flags.database : undefined
    const backups = await readAllBackups(store, only === undefined ? await storedDatabases(store) : [only], secrets)
    const fingerprints = await fingerprintsOf(identities)
    out.print(`identity  of ${plural(fingerprints.length, 'recipient')} ${fingerprints.join(', ')}`)
    const checks: KeyCheck[] = []
    for (const backup of backups) {
      signal.throwIfAborted()
      const check = await checkKeys(store, backup, identities)
      checks.push(check)
      const { recipients = [] } = backup.encryption ?? {}
      const whose = check.opens === false ? `; it is for ${recipients.join(', ')}` : ''
      out.print(
        `${stateOf(check)}  ${check.database}  ${check.id}${check.problem === null ? '' : `  ${check.problem}${whose}`}`,
      )
    }
    if (checks.length === 0) out.print(`there are no backups in ${store.name}`)
    const bad = checks.filter(({ problem }) => problem !== null)
    return {
      fields: {
        identities: fingerprints,
        backups: checks.map((check, i) => ({ ...check, recipients: backups[i]!.encryption?.recipients ?? [] })),
      },
      failure: bad.length === 0 ? undefined : unopened(bad, checks.length),
    }
  },
}

function stateOf({ encrypted, opens, problem }: KeyCheck): string {
  if (opens === false) return 'UNOPENED '
  if (problem !== null) return 'UNREAD   '
  return encrypted ? 'opens    ' : 'plain    '
}

const unopened = (bad: KeyCheck[], of: number) =>
  new AppError(
    'corrupt',
    `${bad.length} of ${counted(of, 'backup')} cannot be opened: ${someOf(bad.map(({ id }) => id))}`,
    { hint: 'add the identities of their recipients to backup.encrypt.identity, one in a line' },
  )
