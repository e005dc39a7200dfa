// pure
import { AppError } from '../errors.ts'
import { isBroken, shown } from '../postgres/bytes.ts'
import type { Inspected } from './inspect.ts'

type Named = Pick<Inspected, 'database' | 'roles' | 'tablespaces'>

/**
 * Refuses what the manifest cannot say. A restore would look for a role that does not exist, or set something else.
 * @throws {AppError} `backup` if a name or a text is not valid UTF-8
 */
export function refuseBroken({ database, roles, tablespaces = [] }: Named): void {
  const found = [
    ...roles.map((name) => ({ what: 'the name of role', name, to: 'alter role … rename to …' })),
    ...tablespaces.map((name) => ({ what: 'the name of tablespace', name, to: 'alter tablespace … rename to …' })),
    ...database.settings.map(({ role, name, value }) => ({
      what: `the setting ${name}${role === null ? ' of the database' : ' of a role in the database'}`,
      name: value,
      to: 'alter database … set …',
    })),
    { what: 'the comment on the database', name: database.comment ?? '', to: 'comment on database … is …' },
  ].filter(({ name }) => isBroken(name))
  const [first] = found
  if (first === undefined) return
  throw new AppError('backup', found.map(({ what, name }) => `${what} is not valid UTF-8: ${shown(name)}`).join('; '), {
    hint: `manifest.json cannot hold it, so a restore could not bring it back: change it with \`${first.to}\``,
  })
}
