import { existsSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { usage } from '../errors.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { someOf } from '../units.ts'
import { pathIn, readNames } from './files.ts'
import type { Format, NativeHistory } from './format.ts'
import { invalid, readCommitted } from './graphile-file.ts'
import { placeholderReplacement } from './graphile-placeholders.ts'
import { readGmrc } from './graphile-settings.ts'
import type { Migration } from './types.ts'

/** The history only has the digits, with `.sql`; the rest of the name is for people. */
const pattern = /^([0-9]+)(-[-_a-zA-Z0-9]*)?\.sql$/

/**
 * graphile-migrate: the committed migrations, as `graphile-migrate migrate` runs them; the current migration is not read.
 * https://github.com/graphile/migrate, `migration.ts`, `header.ts` and `hash.ts` of 1.4.1 and 2.0.0-rc.3.
 */
export const graphileMigrate: Format = {
  name: 'graphile-migrate',
  idOf(name) {
    const digits = /^(\d+)(-.*)?$/s.exec(name)?.[1]
    return digits && `${digits.padStart(6, '0')}.sql`
  },
  outside: '--! no-transaction',
  idsAreNames: true,
  fillsIn: true,
  neverUndoes: true,
  read(dir, options) {
    const committed = committedIn(dir)
    const gmrc = readGmrc(dirname(resolve(committed)))
    const how = { replace: placeholderReplacement(gmrc, options), settings: gmrc?.settings ?? {} }
    const files = listFiles(committed).map(({ file, id }) => readCommitted(pathIn(committed, file), id, how))
    files.sort((a, b) => compare(a.id, b.id))
    for (const [i, file] of files.entries()) refuseBrokenChain(file, files[i - 1])
    return files
  },
  compare,
  // graphile-migrate silently skips older files, refuses a folder with a gap, and cannot record what follows an edited file.
  policy: { outOfOrder: 'error', missing: 'error', edited: 'error' },
  create() {
    throw usage(
      'a committed migration of graphile-migrate can only be made from current.sql, with a hash of its content',
      {
        hint: 'write it into current.sql, then run `graphile-migrate commit --message …`',
      },
    )
  },
  native: history(),
}

function history(): NativeHistory {
  return {
    table: 'graphile_migrate.migrations',
    columns: ['hash', 'previous_hash', 'filename', 'date'],
    create: (table) =>
      `create schema if not exists graphile_migrate;
      create table if not exists ${table} (hash text primary key, previous_hash text references ${table},
        filename text not null, date timestamptz not null default pg_catalog.now());
      create table if not exists graphile_migrate.current (filename text primary key default 'current.sql',
        content text not null, date timestamptz not null default pg_catalog.now())`,
    select: (table) => `
      select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('id', r.filename, 'name', pg_catalog.regexp_replace(r.filename, '\\.sql$', ''), 'kind', 'versioned',
        'checksum', r.hash, 'ok', true, 'appliedAt', pg_catalog.to_char(r.date at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'durationMs', null, 'appliedBy', null) order by r.date, r.filename collate "C"), '[]') as rows
      from ${table} r`,
    record: (table, { id, native }) =>
      `insert into ${table} (hash, previous_hash, filename) values (${literal(native.hash)}, ${literal(native.previous)}, ${quoteLiteral(id)})`,
    unrecord: (table, { id }) => `delete from ${table} where filename = ${quoteLiteral(id)}`,
    realign,
    lockKey: () => 4727445306447283n,
  }
}

/** The next row references this row's hash, so both have to change in one statement. */
function realign(table: string, { id, native }: Migration): string {
  const [file, hash, previous] = [quoteLiteral(id), literal(native.hash), literal(native.previous)]
  return `update ${table} r set hash = case when r.filename = ${file} then ${hash} else r.hash end,
      previous_hash = case when r.filename = ${file} then ${previous} else ${hash} end
    from ${table} o where o.filename = ${file} and (r.filename = ${file} or r.previous_hash = o.hash)`
}

const literal = (value: Migration['native'][string] | undefined) =>
  typeof value === 'string' ? quoteLiteral(value) : 'null'

/** Text order of the digits with `.sql`, as graphile-migrate compares them: `10` comes before `9`. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a === b ? 0 : 1
}

/** The folder `committed` inside the given folder, or the given folder itself. */
function committedIn(dir: string): string {
  const inside = join(dir, 'committed')
  return existsSync(inside) ? inside : dir
}

/**
 * The files with names that graphile-migrate accepts; it skips all others.
 * @throws {AppError} `usage` if two have the same number, or if nothing shows that the folder belongs to graphile-migrate
 */
function listFiles(committed: string): { file: string; id: string }[] {
  const names = readNames(committed)
  const files = names.flatMap((file) => {
    const digits = pattern.exec(file)?.[1]
    return digits === undefined ? [] : [{ file, id: `${digits}.sql` }]
  })
  const ids = new Map<string, string>()
  for (const { file, id } of files) {
    const other = ids.get(id)
    if (other !== undefined) throw sameNumber(committed, [other, file].sort())
    ids.set(id, file)
  }
  if (files.length === 0 && basename(resolve(committed)) !== 'committed') refuseOther(committed, names)
  return files
}

const sameNumber = (committed: string, files: string[]) =>
  usage(`${files.join(' and ')} in ${committed} have the same number`, {
    file: join(committed, files[1] ?? ''),
    hint: 'uncommit the newer one and commit it again: `graphile-migrate uncommit`',
  })

/** A folder with SQL files, none of them committed, belongs to another tool: skipping all of them would look like success. */
function refuseOther(dir: string, names: string[]): void {
  const other = names.filter((name) => name.endsWith('.sql') && name !== 'current.sql').sort()
  if (other[0] !== undefined) {
    throw usage(
      `${dir} has no folder \`committed\`, and none of its files is named like 000001-init.sql: ${someOf(other)}`,
      {
        file: join(dir, other[0]),
        report: { files: other },
        hint: 'set `migrate.dir` to the folder that contains `committed`',
      },
    )
  }
}

/** Each file must name the hash in the header of the file before it; the database does not matter here. */
function refuseBrokenChain(file: Migration, before: Migration | undefined): void {
  const expected = before?.native.hash ?? null
  if (file.native.previous === expected) return
  throw invalid(
    file.path,
    1,
    `was committed after ${file.native.previous ?? 'nothing'}, but ${before ? `${before.name}.sql, the file before it, has the hash ${expected}` : 'is the first file'}`,
    'two branches may have committed at the same time: uncommit the newer migration and commit it again, or restore the missing file',
  )
}
