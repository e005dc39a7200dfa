import { spawn, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { describe, expect } from 'vitest'
import { dashboardFiles, queries } from '../scripts/dashboards.ts'
import { freePort } from '../scripts/server.ts'
import { until } from './support/chaos.ts'
import { type Started, start } from './support/cli.ts'
import { putMany } from './support/many.ts'
import { test as base, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { prometheusFolder } from './support/prometheus.ts'

const root = join(import.meta.dirname, '..')

type Serving = {
  port: number
  serve(config: object, env?: Record<string, string>): Started
  metrics(): Promise<string>
}

const test = base.extend<{ serving: Serving }>({
  serving: async ({ dir, database }, use) => {
    const port = await freePort()
    const started: Started[] = []
    await use({
      port,
      serve(config, env = {}) {
        writeFileSync(join(dir, 'pgbosun.yaml'), JSON.stringify({ serve: { listen: `127.0.0.1:${port}` }, ...config }))
        const one = start(['serve'], { cwd: dir, env: { DATABASE_URL: urlOf(database), ...env } })
        started.push(one)
        return one
      },
      metrics: async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text(),
    })
    for (const { child, finished } of started) {
      child.kill('SIGKILL')
      await finished
    }
  },
})

const store = (dir: string) => pathToFileURL(join(dir, 'store')).href
/** Of a metric with one series for the database. */
const metric = (text: string, name: string) => {
  const found = new RegExp(`^${name}(\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)
  return found ? Number(found[2]) : undefined
}

describe('dashboards', () => {
  test.for(Object.entries(dashboardFiles))('k8s/monitoring/%s is what scripts/dashboards.ts makes', ([name, text]) => {
    expect(readFileSync(join(root, 'k8s/monitoring', name), 'utf8')).toBe(text)
    const ids = (JSON.parse(text).panels as { id: number }[]).map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
  })
})

describe('/metrics', { timeout: 60_000 }, () => {
  test('has what the store knows of a thousand backups, costs little, and everybody may read it', async ({
    dir,
    database,
    serving,
  }) => {
    putMany(join(dir, 'store'), database, 1000)
    await writeFiles(dir, { 'migrations/001_a.sql': 'create table a(id int);' })
    const { child } = serving.serve({ backup: { store: store(dir), schedule: '@yearly' } })
    const text = await until('what is stored', async () => {
      const now = await serving.metrics().catch(() => '')
      const isLooked = now.includes('condition="backup-overdue"') && now.includes('pgbosun_server_connections ')
      return isLooked && metric(now, 'pgbosun_backups_stored') === 1000 ? now : undefined
    })
    const ago = (name: string) => Date.now() / 1000 - metric(text, name)!
    expect(ago('pgbosun_recoverable_to_timestamp_seconds')).toBeCloseTo(3600, -2)
    expect(ago('pgbosun_recoverable_from_timestamp_seconds')).toBeCloseTo(3_600_000, -2)
    // the first of January, and the grace
    expect(new Date(metric(text, 'pgbosun_backup_deadline_timestamp_seconds')! * 1000).toISOString()).toMatch(
      /-01-01T01:00:00/,
    )
    expect(metric(text, 'pgbosun_migrations_applied')).toBe(1)
    expect(text).toContain(`pgbosun_condition{condition="backup-overdue",database="${database}",severity="error"} 0`)
    expect(text.match(/^pgbosun_verdict\{/gm)).toHaveLength(4)
    expect(text).not.toContain(server().password)

    const ticks = () => {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ')
      return Number(fields[11]) + Number(fields[12])
    }
    for (let i = 0; i < 50; i++) await serving.metrics()
    const before = ticks()
    for (let i = 0; i < 100; i++) await serving.metrics()
    // ticks are 10 ms: of 100 scrapes, milliseconds for each, divided by ten
    const msEach = (ticks() - before) / 10
    process.stderr.write(`a scrape with 1,000 backups took ${msEach} ms of processor time\n`)
    expect(msEach).toBeLessThan(5)
  })

  test('says what is not known by silence, and the deadline all the same', async ({ dir, database, serving }) => {
    await writeFiles(dir, { store: 'this is no folder' })
    serving.serve({ backup: { store: store(dir), schedule: '0 3 * * *' } })
    const text = await until('the store could not be read', async () => {
      const now = await serving.metrics().catch(() => '')
      return metric(now, 'pgbosun_store_readable') === 0 ? now : undefined
    })
    expect(text).toContain('pgbosun_verdict{verdict="UNKNOWN"} 1')
    expect(text).not.toContain('pgbosun_safe')
    expect(metric(text, 'pgbosun_backup_deadline_timestamp_seconds')).toBeLessThan(Date.now() / 1000)
    for (const name of [
      'pgbosun_backups_stored',
      'pgbosun_backups_damaged',
      'pgbosun_recoverable_to_timestamp_seconds',
    ])
      expect([name, metric(text, name)]).toEqual([name, undefined])
    expect(text).toContain(`pgbosun_condition{condition="store-unreadable",database="${database}",severity="error"} 1`)
    expect(text).not.toContain('condition="backup-damaged"')
  })

  test.runIf(prometheusFolder)(
    'is read by Prometheus, and every query of the dashboards answers',
    async ({ dir, database, serving }) => {
      const user = uniqueName('metrics')
      const ports = { prometheus: await freePort(), exporter: await freePort() }
      serving.serve(
        {
          backup: { store: store(dir), schedule: '* * * * *' },
          users: { [user]: { preset: 'monitor', password: { env: 'METRICS_PASSWORD' } } },
        },
        { METRICS_PASSWORD: 'of-the-exporter' },
      )
      await writeFiles(dir, {
        'migrations/001_a.sql': 'create table a(id int);',
        'prometheus.yml': JSON.stringify({
          global: { scrape_interval: '1s', evaluation_interval: '1s' },
          rule_files: ['rules.yaml', 'postgres-rules.yaml'].map((name) => join(root, 'k8s/monitoring', name)),
          scrape_configs: [
            { job_name: 'pgbosun', static_configs: [{ targets: [`127.0.0.1:${serving.port}`] }] },
            { job_name: 'postgres', static_configs: [{ targets: [`127.0.0.1:${ports.exporter}`] }] },
          ],
        }),
      })
      const run = (name: string, args: string[], env: Record<string, string> = {}) =>
        spawn(join(prometheusFolder!, name), args, { cwd: dir, env: { ...process.env, ...env }, stdio: 'ignore' })
      const api = async (path: string) => {
        const response = await fetch(`http://127.0.0.1:${ports.prometheus}/api/v1/${path}`)
        return (await response.json()) as {
          status: string
          error?: string
          data: { result: unknown[]; activeTargets: { health: string }[] }
        }
      }
      const others = [
        run('prometheus', [
          '--config.file=prometheus.yml',
          `--web.listen-address=127.0.0.1:${ports.prometheus}`,
          '--storage.tsdb.path=data',
        ]),
        run('prometheus-postgres-exporter', [`--web.listen-address=127.0.0.1:${ports.exporter}`], {
          DATA_SOURCE_NAME: `${urlOf(database, { name: user, password: 'of-the-exporter' })}?sslmode=disable`,
        }),
      ]
      try {
        await until('a backup', async () =>
          metric(await serving.metrics().catch(() => ''), 'pgbosun_restore_estimated_seconds'),
        )
        const checked = spawnSync(join(prometheusFolder!, 'promtool'), ['check', 'metrics'], {
          input: await serving.metrics(),
          encoding: 'utf8',
        })
        expect({ status: checked.status, said: checked.stdout + checked.stderr }).toEqual({ status: 0, said: '' })
        const healths = async () => (await api('targets').catch(() => undefined))?.data.activeTargets ?? []
        await until(
          'everything is scraped',
          async () => (await healths()).filter(({ health }) => health === 'up').length === 2,
        ).catch(async () => expect(await healths()).toBe('two targets that are up'))
        await sleep(5_000)
        const silent: string[] = []
        for (const expr of [...queries.pgbosun, ...queries.postgres]) {
          const { status, error, data } = await api(
            `query?query=${encodeURIComponent(expr.replaceAll('$__rate_interval', '1m').replaceAll('$claim', '.*'))}`,
          )
          expect([expr, status, error]).toEqual([expr, 'success', undefined])
          if (data.result.length === 0) silent.push(expr)
        }
        // only a cluster has kubelet
        expect(silent).toEqual(queries.postgres.filter((expr) => expr.includes('kubelet')))
      } finally {
        for (const child of others) child.kill('SIGKILL')
      }
    },
  )
})
