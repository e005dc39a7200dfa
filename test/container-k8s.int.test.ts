import { beforeAll, describe, expect } from 'vitest'
import { until } from './support/chaos.ts'
import { dockerOk } from './support/docker.ts'
import { test as base, type Postgres } from './support/engine.ts'
import { ofKind, parseManifest, readManifest } from './support/k8s/manifest.ts'
import { findPodman, loadImages, type Podman, writePlayable } from './support/k8s/podman.ts'
import { type Cluster, createPod, makeEmpty, type PlayedPod, playJob } from './support/k8s/pods.ts'
import { buildShop } from './support/k8s/shop.ts'
import type { Pod } from './support/k8s/types.ts'
import { uniqueName } from './support/postgres.ts'

const migrations = {
  '001_orders.sql': 'create table orders (id int primary key)',
  '002_first_orders.sql': 'insert into orders select generate_series(1, 1000)',
  '003_note.sql': 'alter table orders add note text',
}
const mistaken = { ...migrations, '003_note.sql': 'alter tabel orders add note text' }

type Fixtures = {
  /** Where the pods of a test find their Secrets and ConfigMaps, and a server without a database or a role of theirs. */
  cluster: Cluster
  pod(spec: Pod, claims?: Record<string, string>): Promise<PlayedPod>
  /** A volume for backups. */
  backups: string
}

const test = base.extend<Fixtures>({
  cluster: async ({ postgres, dir }, use) => {
    for (const name of ['shop', 'shop_restored']) await postgres.query('postgres', `drop database if exists ${name}`)
    const roles = await postgres.query('postgres', `select rolname from pg_roles where rolname like 'shop%'`)
    for (const role of roles.split('\n').filter(Boolean).toSorted().toReversed())
      await postgres.query('postgres', `drop owned by ${role}; drop role ${role}`)
    await use({ network: postgres.network, dir, sources: sourcesOf(postgres) })
  },
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  backups: async ({}, use) => {
    const name = uniqueName('pgbosun-backups')
    await makeEmpty(name, 65_532)
    await use(name)
    await dockerOk('volume', 'rm', name)
  },
  pod: async ({ cluster }, use) => {
    const made: PlayedPod[] = []
    await use(async (spec, claims) => {
      const pod = await createPod(spec, cluster, claims)
      made.push(pod)
      return pod
    })
    for (const pod of made) await pod.remove()
  },
})

/** What is in the cluster, by name: the filled Secrets, and the ConfigMap that a command makes of a folder. */
function sourcesOf(postgres: Postgres, at = 'postgres:5432'): Cluster['sources'] {
  const admin = postgres.url('shop').replace('@db/', `@${at}/`)
  const values = { ADMIN_URL: admin, SHOP_PASSWORD: 'a1b2c3', BACKUP_PASSWORD: 'd4e5f6' }
  const { text } = readManifest('secret.yaml.template')
  const filled = Object.entries(values).reduce((all, [name, value]) => all.replaceAll(`\${${name}}`, value), text)
  const { objects } = parseManifest('secret.yaml', filled.replaceAll('@postgres:5432', `@${at}`))
  return {
    'shop-migrations-1': migrations,
    ...Object.fromEntries(
      objects.flatMap((one) => (one.kind === 'Secret' ? [[one.metadata.name, one.stringData]] : [])),
    ),
  }
}

/** A manifest, whose ConfigMaps are in the cluster from now on. */
function applied(file: string, { sources }: Pick<Cluster, 'sources'>) {
  const manifest = readManifest(file)
  for (const object of manifest.objects) if (object.kind === 'ConfigMap') sources[object.metadata.name] = object.data
  return manifest
}

let podman: Podman | string
beforeAll(() => {
  buildShop()
  podman = findPodman()
  if (typeof podman === 'string') console.warn(`NOT RUN: k8s/init-container.yaml in podman: ${podman}`)
})

describe('k8s/init-container.yaml', () => {
  test('played by podman, starts no application when a migration fails, and every one after `up`', async ({
    postgres,
    cluster: { dir },
    skip,
  }) => {
    if (typeof podman === 'string') return skip(`NOT RUN: ${podman}`)
    const { run } = podman
    await loadImages(podman, dir)
    const name = uniqueName('shop')
    const file = `${dir}/pods.yaml`
    const sources = sourcesOf(postgres, `host.containers.internal:${postgres.container.getMappedPort(5432)}`)
    const manifest = applied('init-container.yaml', { sources })
    const play = async (files: Record<string, string>) => {
      await writePlayable(manifest, { name, file, sources: { ...sources, 'shop-migrations-1': files } })
      return run('kube', 'play', file)
    }
    const clear = async () => {
      await run('pod', 'rm', '--force', '--ignore', `${name}-pod-0`, `${name}-pod-1`)
      for (const volume of [...Object.keys(sources), 'tmp']) await run('volume', 'rm', '--force', `${name}-${volume}`)
    }
    const state = async (container: string) =>
      (await run('inspect', '--format={{.State.Status}}', `${name}-pod-${container}`)).stdout.trim()

    try {
      expect(await play(mistaken)).toMatchObject({ code: 125, stderr: expect.stringContaining('exited with code 20') })
      expect(await state('0-shop')).toBe('created')
      await clear()

      const played = await play(migrations)
      expect(played.code, played.stderr).toBe(0)
      for (const pod of ['0', '1']) {
        expect(await state(`${pod}-shop`)).toBe('running')
        const shop = `${name}-pod-${pod}-shop`
        await until('it has read its table', async () => (await run('logs', shop)).stdout.includes('orders: 1000'))
      }
    } finally {
      await clear()
    }
  })

  test('lets any number of pods start at once', async ({ postgres, cluster, pod }) => {
    const { spec } = ofKind(applied('init-container.yaml', cluster), 'Deployment').spec.template
    const pods = [await pod(spec), await pod(spec), await pod(spec)]

    await Promise.all(pods.map((one) => one.start()))

    for (const one of pods)
      await until('it has read its table', async () => (await one.log('shop')).includes('orders: 1000'))
    const logs = await Promise.all(pods.map((one) => one.log('up')))
    expect(logs.filter((log) => log.includes('ready, nothing to do'))).toHaveLength(2)
    expect(await postgres.query('shop', `select tableowner from pg_tables where tablename = 'orders'`)).toBe(
      'shop_owner',
    )
  })
})

describe('k8s/sidecar.yaml', () => {
  test('starts the application once `up` has succeeded, backs up, and stops after it; restore-job.yaml and cronjob.yaml use its backups', async ({
    postgres,
    cluster,
    backups,
    pod,
  }) => {
    const claims = { 'shop-backups': backups }
    cluster.sources['shop-migrations-1'] = mistaken
    const one = await pod(ofKind(applied('sidecar.yaml', cluster), 'Deployment').spec.template.spec, claims)
    const starting = one.start()
    await until('`up` has failed, and the sidecar was started anew', () => one.restarts.length > 0)
    expect(one.restarts[0]).toMatchObject({ code: 20, message: expect.stringMatching(/^migration: 003_note failed/) })
    expect(one.has('shop')).toBe(false)

    await one.update('shop-migrations-1', migrations)
    await starting
    await until('the application answers', async () => (await one.get(3000, '/')) === 200)
    expect(await one.log('shop')).toContain('orders: 1000')
    expect(await one.get(8080, '/readyz')).toBe(200)
    expect(await one.get(8080, '/livez')).toBe(200)
    expect(await one.get(8080, '/status.json')).toBe(401)
    await until('the first backup is there', async () => {
      const { stdout } = await one.exec('pgbosun', 'pgbosun', 'backup', 'list', '--json')
      return JSON.parse(stdout).backups.length === 1
    })
    expect(await one.stop()).toMatchObject([
      { name: 'shop', code: 0 },
      { name: 'pgbosun', code: 0 },
    ])

    const restore = ofKind(readManifest('restore-job.yaml'), 'Job').spec
    const restored = await playJob(restore, cluster, claims)
    expect(restored, restored.tries.at(-1)?.at(-1)?.log).toMatchObject({ succeeded: true, tries: [[{ code: 0 }]] })
    expect(await postgres.query('shop_restored', 'select count(*) from orders')).toBe('1000')
    expect(await playJob(restore, cluster, claims)).toMatchObject({ succeeded: false, tries: [[{ name: 'restore' }]] })

    const nightly = ofKind(applied('cronjob.yaml', cluster), 'CronJob').spec.jobTemplate.spec
    const night = await playJob(nightly, cluster, claims)
    expect(night, night.tries.at(-1)?.at(-1)?.log).toMatchObject({
      succeeded: true,
      tries: [
        [
          { name: 'run', code: 0 },
          { name: 'prune', code: 0 },
        ],
      ],
    })
  })
})

describe('k8s/wait-for.yaml', () => {
  test('keeps the application waiting where nothing is there yet, until the Job has run, which gives it no right', async ({
    postgres,
    cluster,
    pod,
  }) => {
    const manifest = applied('wait-for.yaml', cluster)
    const job = ofKind(manifest, 'Job').spec
    const one = await pod(ofKind(manifest, 'Deployment').spec.template.spec)
    const starting = one.start()
    await until('it waits', async () => one.has('wait-for') && (await one.log('wait-for')).includes('waiting for'))
    expect(one.has('shop')).toBe(false)

    expect(await playJob(job, cluster)).toMatchObject({ succeeded: true })
    await starting
    await until('it has read its table', async () => (await one.log('shop')).includes('orders: 1000'))

    const trap = `
      create table caught (who text);
      create function trap() returns trigger language plpgsql as $$
        begin
          insert into caught values (session_user);
          alter role shop superuser;
          return new;
        exception when insufficient_privilege then
          insert into caught values ('refused to ' || session_user);
          return new;
        end $$;
      create trigger trap before insert on orders for each row execute function trap()`
    const login = ['psql', '-X', '-h', '127.0.0.1', '-U', 'shop', '-c', trap, 'shop']
    const asShop = await postgres.container.exec(login, { env: { PGPASSWORD: 'a1b2c3' } })
    expect(asShop.exitCode, asShop.output).toBe(0)
    cluster.sources['shop-migrations-1'] = { ...migrations, '004_order.sql': 'insert into orders values (1001)' }
    expect(await playJob(job, cluster)).toMatchObject({ succeeded: true })
    expect(await postgres.query('shop', 'table caught')).toMatch(/^refused to pgbosun_/)
    expect(await postgres.query('shop', `select rolsuper from pg_roles where rolname = 'shop'`)).toBe('f')
  })
})

describe('k8s/job.yaml', () => {
  test('waits for a password that is on its way', async ({ cluster, pod }) => {
    const right = cluster.sources['shop-admin']!
    cluster.sources['shop-admin'] = { url: right.url!.replace(/:[^:@]+@/, ':notyet@') }
    const one = await pod(ofKind(applied('job.yaml', cluster), 'Job').spec.template.spec)
    const finishing = one.finish()
    await until(
      'it is refused',
      async () => one.has('up') && (await one.log('up')).includes('the password of postgres was refused'),
    )
    await one.update('shop-admin', right)
    expect(await finishing).toMatchObject([{ name: 'up', code: 0 }])
  })

  test('gives up at once on a migration that fails, and says why', async ({ cluster }) => {
    cluster.sources['shop-migrations-1'] = mistaken
    expect(await playJob(ofKind(applied('job.yaml', cluster), 'Job').spec, cluster)).toMatchObject({
      succeeded: false,
      tries: [[{ code: 20, message: expect.stringMatching(/^migration: 003_note failed/) }]],
    })
  })
})
