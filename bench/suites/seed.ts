import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { measure } from '../measure.ts'
import { command } from '../programs.ts'
import type { Contestant, Race } from '../rounds.ts'
import { type Setting, titleWith } from './setting.ts'

const rows = 1_000_000
const table = `create table public.people (id bigint primary key, name text not null, email text, city text, amount numeric(12,2), born date, note text)`

/** A file of a million rows, loaded for the first time, again with nothing changed, and again by force. */
export async function seed({ cluster, dir, builds, link }: Setting): Promise<Race> {
  const file = join(dir, 'people.csv')
  await writeRows(file)
  const createTable = async () => {
    const database = await cluster.createDatabase()
    await cluster.ask(database, table)
    return database
  }
  const counted = async (database: string) => {
    const [found] = await cluster.ask<[{ count: string }]>(database, 'select count(*) from public.people')
    if (Number(found.count) !== rows) throw new Error(`${database} has ${found.count} rows instead of ${rows}`)
  }
  const psql: Contestant = {
    name: copy,
    async next() {
      const database = await createTable()
      const argv = [
        'psql',
        '-X',
        '-q',
        '-v',
        'ON_ERROR_STOP=1',
        '-c',
        `\\copy people from '${file}' with (format csv, header)`,
      ]
      return { command: command([...argv, cluster.url(database, link)], {}, dir), check: () => counted(database) }
    },
  }
  const ours: Contestant[] = []
  for (const { name, program } of builds) {
    const config = await writeConfig(join(dir, name.replaceAll(' ', '-')), file)
    const seedOf = (database: string, ...flags: string[]) =>
      command(
        [process.execPath, program, 'seed', '--config', config, ...flags],
        { DATABASE_URL: cluster.url(database, link) },
        dir,
      )
    const loaded = await createTable()
    await measure(seedOf(loaded), join(dir, 'log'))
    ours.push(
      {
        name,
        async next() {
          const database = await createTable()
          return { command: seedOf(database), check: () => counted(database) }
        },
      },
      { name: `${name}, ${unchanged}`, next: async () => ({ command: seedOf(loaded), check: () => counted(loaded) }) },
      {
        name: `${name}, ${forced}`,
        next: async () => ({ command: seedOf(loaded, '--force'), check: () => counted(loaded) }),
      },
    )
  }
  return {
    title: titleWith(`seed of ${rows.toLocaleString('en')} rows in CSV`, link),
    contestants: [psql, ...ours],
    references: [copy],
    targets: [
      { of: 'pgbosun', to: copy, atMost: 1.05 },
      { of: `pgbosun, ${unchanged}`, to: copy, atMost: 0.15 },
      { of: `pgbosun, ${forced}`, to: copy, atMost: 1.2 },
    ],
    warmUp: true,
  }
}

const copy = 'psql \\copy'
const unchanged = 'unchanged'
const forced = 'forced'

async function writeConfig(dir: string, file: string): Promise<string> {
  await mkdir(dir, { recursive: true })
  const path = join(dir, 'pgbosun.json')
  await writeFile(path, JSON.stringify({ seeds: [{ file, table: 'people', key: ['id'] }] }))
  return path
}

/** About 100 MB. */
async function writeRows(path: string): Promise<void> {
  const out = createWriteStream(path)
  out.write('id,name,email,city,amount,born,note\n')
  for (let id = 1; id <= rows; id += 1_000) {
    const lines = Array.from({ length: 1_000 }, (_, i) => lineOf(id + i)).join('')
    if (!out.write(lines)) await once(out, 'drain')
  }
  out.end()
  await once(out, 'close')
}

function lineOf(id: number): string {
  const day = String(1 + (id % 28)).padStart(2, '0')
  return `${id},"Name ${id}, the ${id % 97}th",user${id}@example.org,City ${id % 1000},${(id % 100_000) / 100},19${50 + (id % 50)}-0${1 + (id % 9)}-${day},a note of some length ${(id * 7919) % 1_000_003}\n`
}
