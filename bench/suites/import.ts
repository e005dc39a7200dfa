import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { findServerBinaries } from '../../scripts/server.ts'
import { command } from '../programs.ts'
import type { Contestant, Race } from '../rounds.ts'
import { type Setting, titleWith } from './setting.ts'

const rows = 1_000_000

const table =
  'create table big (id bigint primary key, name text, body text, n bigint, score double precision, created timestamp)'

/** The import of a SQLite file, compared with what psql needs to copy the same rows from CSV. */
export async function importRows({ cluster, dir, builds, link }: Setting): Promise<Race> {
  const [binDir = ''] = findServerBinaries()
  const file = join(dir, 'big.db')
  const csv = join(dir, 'big.csv')
  makeFile(file)
  const config = join(dir, 'import.yaml')
  writeFileSync(config, `import: { sqlite: ${file} }\n`)
  exportCsv(file, csv)

  const next = async () => {
    const database = await cluster.createDatabase()
    await cluster.ask(database, table)
    const check = async () => {
      const [found] = await cluster.ask<[{ count: number }]>(database, 'select count(*)::int as count from big')
      if (found.count !== rows) throw new Error(`there are ${found.count} rows`)
    }
    return { url: cluster.url(database, link), check }
  }
  const ours = builds.map(
    ({ name, program }): Contestant => ({
      name,
      async next() {
        const { url, check } = await next()
        const args = [process.execPath, program, '--config', config, 'import']
        return { command: command(args, { DATABASE_URL: url }), check }
      },
    }),
  )
  const copy: Contestant = {
    name: '\\copy',
    async next() {
      const { url, check } = await next()
      const args = [join(binDir, 'psql'), '-q', '-c', `\\copy big from ${csv} csv`, url]
      return { command: command(args, { PATH: process.env.PATH ?? '' }), check }
    },
  }
  return {
    title: titleWith(`import of ${rows.toLocaleString('en')} rows from SQLite`, link),
    contestants: [...ours, copy],
    references: [copy.name],
    targets: [{ of: 'pgbosun', to: copy.name, atMost: 1.5 }],
    warmUp: true,
  }
}

function makeFile(file: string): void {
  const db = new DatabaseSync(file)
  db.exec(`
    pragma journal_mode = off; pragma synchronous = off;
    create table big (id integer primary key, name text, body text, n integer, score real, created datetime);
    with recursive i (i) as (select 1 union all select i + 1 from i where i < ${rows})
    insert into big select i, 'name ' || i, 'some text that is a little longer ' || (i * 7), (i * 7919) % 1000003, i / 7.0,
      datetime(1700000000 + i, 'unixepoch') from i`)
  db.close()
}

/** The same rows for psql. No value of them needs quotes. */
function exportCsv(file: string, csv: string): void {
  const db = new DatabaseSync(file, { readOnly: true })
  const lines: string[] = []
  writeFileSync(csv, '')
  for (const row of db.prepare('select * from big').iterate()) {
    lines.push(Object.values(row).join(','))
    if (lines.length < 10_000) continue
    writeFileSync(csv, `${lines.splice(0).join('\n')}\n`, { flag: 'a' })
  }
  if (lines.length > 0) writeFileSync(csv, `${lines.join('\n')}\n`, { flag: 'a' })
  db.close()
}
