// pure
import type { Manifest } from '../../archive/manifest.ts'
import { AppError } from '../../errors.ts'
import { quoteIdent } from '../../sql/quote.ts'
import { visible, visibleSql } from '../../text.ts'
import { counted, plural, someOf } from '../../units.ts'
import type { RestoreRefusal } from '../guard.ts'
import { neededRoles, type TargetServer } from '../guard.ts'

/** What of a whole database cannot come to this server, and what to do about it. */
export type WholeProblem = Omit<RestoreRefusal, 'kind'> & { refused?: true }

/** What is known to fail, from what the database needs and what the server has. `locale`: whether the server knows it. */
export function findWholeProblems(
  manifest: Pick<Manifest, 'server_version_num' | 'roles' | 'superusers' | 'tablespaces' | 'extensions' | 'database'>,
  target: TargetServer & { locale: boolean },
): WholeProblem[] {
  const problems: WholeProblem[] = []
  const add = (reason: string, hint: string, more: Pick<WholeProblem, 'refused' | 'report'> = {}) =>
    problems.push({ reason: visible(reason), hint: visible(hint), ...more })
  const [from, to] = [manifest.server_version_num, target.serverVersion].map((one) => Math.floor(one / 10_000)) as [
    number,
    number,
  ]
  if (from > to)
    add(
      `it is from PostgreSQL ${from}, but this server is ${to}: an older server cannot read it`,
      `import it into a server of version ${from} or newer`,
    )
  if (!target.superuser && !target.mayCreateDatabases)
    add(
      `the user ${target.user} may not create databases`,
      `alter role ${sqlName(target.user)} createdb, or connect as another user`,
      { refused: true },
    )
  const superusers = manifest.superusers ?? []
  const missing = neededRoles(manifest).filter((name) => !target.roles.includes(name))
  if (missing.length > 0)
    add(
      `${counted(missing.length, 'role')} that ${plural(missing.length, 'owns', 'own')} something in it, or may use it, ${plural(missing.length, 'does', 'do')} not exist here: ${someOf(missing)}`,
      `declare ${plural(missing.length, 'it', 'them')}: \`roles: { ${missing.map((name) => `${yamlKey(name)}: {}`).join(', ')} }\``,
      { report: { missing_roles: missing } },
    )
  const powerless = superusers.filter((name) => target.roles.includes(name) && !target.superusers.includes(name))
  if (powerless.length > 0)
    add(
      `only a superuser may own what ${someOf(powerless)} ${plural(powerless.length, 'owns', 'own')} in it: event triggers, foreign-data wrappers, publications of all tables`,
      someOf(
        powerless.map((name) => `alter role ${sqlName(name)} superuser`),
        '; ',
      ),
    )
  const absent = (manifest.tablespaces ?? []).filter((name) => !target.tablespaces.includes(name))
  if (absent.length > 0)
    add(
      `${counted(absent.length, 'tablespace')} of it ${plural(absent.length, 'does', 'do')} not exist here: ${someOf(absent)}`,
      someOf(
        absent.map((name) => `create tablespace ${sqlName(name)} location '…'`),
        '; ',
      ),
      { report: { missing_tablespaces: absent } },
    )
  const extensions = manifest.extensions.map(({ name }) => name).filter((name) => !target.extensions.includes(name))
  if (extensions.length > 0)
    add(
      `this server does not have the ${plural(extensions.length, 'extension')} ${someOf(extensions)}`,
      'install the packages of these extensions on the server, or drop what the source does not use',
      { report: { missing_extensions: extensions } },
    )
  if (!target.locale)
    add(
      `this server does not have the locale ${manifest.database.collate ?? manifest.database.locale ?? ''} of the database`,
      'install it on the server (`locale-gen`), then restart the server',
    )
  return problems
}

/** All of them as one error, 12 if nothing but rights is missing, else 40; undefined if there are none. @param what is imported */
export function wholeRefusal(problems: WholeProblem[], what: string): AppError | undefined {
  const [first] = problems
  if (!first) return undefined
  const kind = problems.every(({ refused }) => refused) ? 'refused' : 'seed'
  if (problems.length === 1)
    return new AppError(kind, `${what} cannot be imported: ${first.reason}; nothing was changed`, {
      hint: first.hint,
      report: first.report,
    })
  return new AppError(kind, `${what} cannot be imported for ${problems.length} reasons; nothing was changed`, {
    hint: 'see each of them below',
    report: Object.assign({}, ...problems.map(({ report }) => report)),
    excerpt: problems.map(({ reason, hint }) => `  ${reason}\n    ${hint}`).join('\n'),
  })
}

const sqlName = (name: string) => visibleSql(quoteIdent(name))

const yamlKey = (name: string) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : JSON.stringify(name))
