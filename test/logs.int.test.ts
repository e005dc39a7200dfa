import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { parse } from 'yaml'
import { freePort } from '../scripts/server.ts'
import { until } from './support/chaos.ts'
import { start } from './support/cli.ts'
import { test as base, urlOf, writeFiles } from './support/postgres.ts'

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const trace = { id: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' }

type Line = Record<string, unknown>

/** The log of a serve that makes a backup, and then cannot read its store, with and without a valid trace. */
const test = base.extend<{ lines: { raw: string[]; fields: Line[] } }>({
  lines: async ({ dir, database }, use) => {
    const port = await freePort()
    await writeFiles(dir, {
      'migrations/001_a.sql': 'create table a(id int);',
      'pgbosun.yaml': JSON.stringify({
        backup: { store: `file://${dir}/store`, schedule: '@yearly' },
        notify: [{ as: 'json', name: 'nobody', url: 'http://127.0.0.1:1/' }],
        serve: { listen: `127.0.0.1:${port}` },
      }),
    })
    const env = { DATABASE_URL: urlOf(database), TRACEPARENT: `00-${trace.id}-${trace.span}-01` }
    const { child, finished } = start(['serve'], { cwd: dir, env })
    let text = ''
    child.stderr!.on('data', (chunk: Buffer) => {
      text += chunk
    })
    await until('a backup', () => text.includes('backed up and verified'))
    await writeFiles(dir, { 'migrations/002_b.sql': 'create table b(id int);\n' })
    await until('a condition', () => text.includes('migrations-pending'))
    child.kill('SIGTERM')
    await finished
    const raw = text.split('\n').slice(0, -1)
    await use({ raw, fields: raw.map((line) => JSON.parse(line) as Line) })
  },
})

/** The fields that docs/logs.md names, with those that stand for several. */
const documented = (() => {
  const table = /\| field \| \|\n[\s\S]*?\n\n/.exec(read('docs/logs.md'))![0]
  const names = [...table.matchAll(/^\|([^|]+)\|/gm)].flatMap(([, cell]) =>
    [...cell!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!),
  )
  return names.map((name) => new RegExp(`^${name.replace('…', '.*')}$`))
})()

/** How the events of docs/logs.md begin. */
const events = (() => {
  const table = /\| `msg` \|[\s\S]*?\n\n/.exec(read('docs/logs.md'))![0]
  const cells = [...table.matchAll(/^\|([^|]+)\|/gm)]
    .slice(2)
    .flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!))
  return cells.map((text) => new RegExp(`^${text.replace('TARGET', '\\S+').replace('backup-overdue', '\\S+')}`))
})()

/** What the JSON stages of Loki take out of a line. */
const labelled = (line: Line, names: string[]) =>
  Object.fromEntries(names.flatMap((name) => (typeof line[name] === 'string' ? [[name, line[name]]] : [])))

test('each line is one event, with the run, the trace and no field that is not documented', { timeout: 60_000 }, ({
  lines: { raw, fields },
}) => {
  expect(raw.length).toBeGreaterThan(4)
  for (const line of fields) {
    expect(line).toMatchObject({
      run_id: fields[0]!.run_id,
      trace_id: trace.id,
      span_id: trace.span,
      level: expect.any(String),
      msg: expect.any(String),
    })
    expect([line.msg, line.condition !== undefined || events.some((event) => event.test(String(line.msg)))]).toEqual([
      line.msg,
      true,
    ])
    expect([line.msg, Object.keys(line).filter((name) => !documented.some((pattern) => pattern.test(name)))]).toEqual([
      line.msg,
      [],
    ])
  }

  for (const event of ['listening', 'the next scheduled backup', 'backed up and verified', 'stopping'])
    expect(fields.some(({ msg }) => String(msg).startsWith(event))).toBe(true)

  // promtail and Alloy
  const [job] = parse(read('examples/logs/promtail.yaml')).scrape_configs
  const [{ json }, { timestamp }, { labels }] = job.pipeline_stages as [
    { json: { expressions: Record<string, string> } },
    { timestamp: { source: string; format: string } },
    { labels: Record<string, null> },
  ]
  const alloy = read('examples/logs/alloy.alloy')
  for (const name of Object.keys(json.expressions))
    expect(alloy).toMatch(new RegExp(`expressions = .*\\b${name} = "${name}"`))
  for (const name of Object.keys(labels)) expect(alloy).toMatch(new RegExp(`values = .*\\b${name} = ""`))
  expect(timestamp.format).toBe('RFC3339Nano')
  const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
  for (const line of fields) expect(line[timestamp.source]).toMatch(rfc3339)
  const found = fields.map((line) => labelled(line, Object.keys(labels)))
  expect(found).toContainEqual(expect.objectContaining({ condition: 'migrations-pending', level: 'warn' }))
  expect(found).toContainEqual(expect.objectContaining({ level: 'info', database: expect.any(String) }))

  // Filebeat
  const [input] = parse(read('examples/logs/filebeat.yml'))['filebeat.inputs']
  const [, { rename }] = input.processors as [unknown, { rename: { fields: { from: string; to: string }[] } }]
  for (const { from } of rename.fields) {
    const [target, name] = from.split('.')
    expect(target).toBe(input.parsers[0].ndjson.target)
    expect([from, fields.every((line) => name! in line)]).toEqual([from, true])
  }
})
