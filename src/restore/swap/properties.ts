// pure
import type { Manifest } from '../../archive/manifest.ts'
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'
import { visible } from '../../text.ts'

type Properties = Manifest['database']

/** A security label of a database. */
export type Label = { provider: string; label: string }

/**
 * The manifest with the properties that the database has now: a restore that replaces a database takes back its contents, not who may use
 * it. Encoding and locale stay those of the backup, because the contents were sorted by them.
 */
export function withPropertiesOf(manifest: Manifest, now: Properties): Manifest {
  const { owner, tablespace, connection_limit, acl, settings, comment } = now
  return {
    ...manifest,
    database: { ...manifest.database, owner, tablespace, connection_limit, acl, settings, comment },
  }
}

/** Statements that set the security labels of a database. */
export const labelStatements = (name: string, labels: Label[]): string[] =>
  labels.map(
    ({ provider, label }) =>
      `security label for ${quoteIdent(provider)} on database ${quoteIdent(name)} is ${quoteLiteral(label)}`,
  )

/** What the backup has differently, and a swap does not take back, in words. */
export function propertyDifferences(backup: Properties, now: Properties): string[] {
  const differences: string[] = []
  const differ = (what: string, then: string, today: string) => {
    if (then !== today) differences.push(visible(`${what}: ${today} now, ${then} in the backup`))
  }
  differ('owner', backup.owner, now.owner)
  differ('connection limit', String(backup.connection_limit), String(now.connection_limit))
  differ('comment', JSON.stringify(backup.comment), JSON.stringify(now.comment))
  for (const [what, was, is] of [
    ['privilege', namesOf(backup.acl), namesOf(now.acl)],
    ['setting', backup.settings.map(nameOf), now.settings.map(nameOf)],
  ] as const) {
    for (const one of was.filter((one) => !is.includes(one)))
      differences.push(visible(`${what} ${one}: only in the backup`))
    for (const one of is.filter((one) => !was.includes(one))) differences.push(visible(`${what} ${one}: only now`))
  }
  const byName = new Map(backup.settings.map((setting) => [nameOf(setting), setting.value]))
  for (const setting of now.settings) {
    const was = byName.get(nameOf(setting))
    if (was !== undefined && was !== setting.value)
      differences.push(visible(`setting ${nameOf(setting)}: another value in the backup`))
  }
  return differences
}

/** Null means PostgreSQL's defaults. */
const namesOf = (acl: Properties['acl']): string[] =>
  acl === null
    ? ['PostgreSQL’s defaults']
    : acl.map(
        ({ grantee, privilege, grantable }) => `${privilege} for ${grantee}${grantable ? ' with grant option' : ''}`,
      )

/** Without the value, which may be a secret. */
const nameOf = ({ role, name }: Properties['settings'][number]) => (role === null ? name : `${name} of role ${role}`)
