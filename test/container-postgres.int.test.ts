import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Network } from 'testcontainers'
import { beforeAll, describe, expect, test } from 'vitest'
import { until } from './support/chaos.ts'
import { dockerOk, withReadableDir } from './support/docker.ts'
import { build, kustomize } from './support/k8s/kustomize.ts'
import { type Manifest, ofKind } from './support/k8s/manifest.ts'
import { type Cluster, createPod, makeEmpty, type PlayedPod, playJob } from './support/k8s/pods.ts'
import { buildPostgres } from './support/k8s/shop.ts'
import type { Pod } from './support/k8s/types.ts'
import { uniqueName } from './support/postgres.ts'
import { makeCertificate, tlsMissing } from './support/tls.ts'

const password = 'a1b2c3d4'
const missing = kustomize ? tlsMissing() : 'there is neither kubectl nor kustomize'
if (missing) console.warn(`NOT RUN: k8s/overlays/postgres: ${missing}`)
beforeAll(() => {
  if (!missing) buildPostgres()
})

describe.skipIf(missing)('k8s/overlays/postgres', () => {
  test('starts a server as configured, which is made ready and backed up over verified TLS, and keeps its data', async () => {
    const manifest = build('overlays/postgres')
    const network = await new Network().start()
    const volumes = { data: uniqueName('pgbosun-data'), 'shop-backups': uniqueName('pgbosun-backups') }
    await makeEmpty(volumes.data, 999)
    await makeEmpty(volumes['shop-backups'], 65_532)
    const pods: PlayedPod[] = []
    try {
      await withReadableDir(async (dir) => {
        const cluster: Cluster = { network: network.getName(), dir, sources: sourcesOf(manifest, dir) }
        const server = async () => {
          const pod = await createPod(podOf(manifest), cluster, volumes, 'postgres')
          pods.push(pod)
          await pod.start()
          await until('it answers', async () => (await pod.exec('postgres', ...probe)).code === 0)
          return pod
        }
        const first = await server()
        const job = await playJob(ofKind(manifest, 'Job').spec, cluster)
        expect(job, job.tries.at(-1)?.at(-1)?.log).toMatchObject({ succeeded: true, tries: [[{ code: 0 }]] })
        const night = await playJob(ofKind(manifest, 'CronJob').spec.jobTemplate.spec, cluster, volumes)
        expect(night, night.tries.at(-1)?.at(-1)?.log).toMatchObject({ succeeded: true })

        const query = (pod: PlayedPod, text: string, sslmode = 'require') => {
          const url = `host=127.0.0.1 user=postgres dbname=shop password=${password} sslmode=${sslmode}`
          return pod.exec('postgres', 'psql', '-XAtqc', text, url)
        }
        expect(await query(first, 'select count(*) from pg_file_settings where error is not null')).toMatchObject({
          stdout: '0\n',
        })
        expect(await query(first, 'select count(*) > 0 from pg_stat_statements')).toMatchObject({ stdout: 't\n' })
        expect((await query(first, 'select 1', 'disable')).stderr).toContain('no pg_hba.conf entry')
        expect((await first.exec('postgres', 'psql', '-XwAtqc', 'select 1', '-U', 'postgres')).stderr).toContain(
          'no password supplied',
        )

        expect(await first.stop()).toMatchObject([{ name: 'postgres', code: 0 }])
        await first.remove()
        await sleep(100)
        const second = await server()
        expect(await query(second, 'select count(*) from orders')).toMatchObject({ stdout: '1000\n' })
      })
    } finally {
      for (const pod of pods) await pod.remove()
      await dockerOk('volume', 'rm', ...Object.values(volumes))
      await network.stop()
    }
  })
})

const probe = ['pg_isready', '--host=127.0.0.1', '--username=postgres']

/** The pod of the StatefulSet, with the claims that Kubernetes makes for it. */
function podOf(manifest: Manifest): Pod {
  const { template, volumeClaimTemplates } = ofKind(manifest, 'StatefulSet').spec
  const claims = volumeClaimTemplates.map(({ metadata: { name } }) => ({
    name,
    persistentVolumeClaim: { claimName: name },
  }))
  return { ...template.spec, volumes: [...template.spec.volumes!, ...claims] }
}

function sourcesOf(manifest: Manifest, dir: string): Cluster['sources'] {
  const { key, certificate } = makeCertificate(dir, 'postgres')
  const [crt, pem] = [certificate, key].map((file) => readFileSync(file, 'utf8'))
  const url = (user: string, secret: string) => `postgres://${user}:${secret}@postgres:5432/shop`
  return {
    ...Object.fromEntries(
      manifest.objects.flatMap((one) => (one.kind === 'ConfigMap' ? [[one.metadata.name, one.data]] : [])),
    ),
    postgres: { password },
    'postgres-tls': { 'tls.crt': crt!, 'tls.key': pem!, 'ca.crt': crt! },
    'shop-admin': { url: url('postgres', password) },
    'shop-app': { url: url('shop', 'e5'), password: 'e5' },
    'shop-backup': { url: url('shop_backup', 'f6'), password: 'f6' },
    'shop-migrations-1': { '001_orders.sql': 'create table orders as select generate_series(1, 1000) as id' },
  }
}
