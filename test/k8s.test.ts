import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { configSchema } from '../src/config/schema.ts'
import { exitCodes } from '../src/errors.ts'

const file = readFileSync(join(import.meta.dirname, '..', 'k8s', 'job.yaml'), 'utf8')
// Kubernetes reads YAML 1.1, where 0440 is octal
const documents = parseAllDocuments(file, { version: '1.1' }).map((document) => document.toJS({ maxAliasCount: 0 }))
const of = (kind: string) => documents.find((document) => document.kind === kind)
const job = of('Job').spec
const pod = job.template.spec
const [container] = pod.containers

describe('k8s/job.yaml', () => {
  test('gives up at once on exactly the exit codes that another try cannot heal', () => {
    const [drained, failed] = job.podFailurePolicy.rules
    expect(drained).toEqual({ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] })
    expect(failed).toMatchObject({ action: 'FailJob', onExitCodes: { containerName: container.name, operator: 'In' } })
    const { usage, refused, migration, history, lint, roles, seed, unhealthy } = exitCodes
    expect(failed.onExitCodes.values).toEqual([usage, refused, migration, history, lint, roles, seed, unhealthy])
    expect(pod.restartPolicy).toBe('Never')
  })

  test('has an end, and is not deleted while something may wait for it', () => {
    const config = configSchema.parse(parse(of('ConfigMap').data['pgbosun.yaml']))
    expect(job.activeDeadlineSeconds * 1000).toBeGreaterThan(config.wait.timeout + config.lock.timeout)
    expect(job.backoffLimit).toBeLessThanOrEqual(3)
    expect(job).not.toHaveProperty('ttlSecondsAfterFinished')
    expect(job.podReplacementPolicy).toBe('Failed')
  })

  test('keeps to the restricted Pod Security Standard, with a read-only root', () => {
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(pod).not.toHaveProperty('hostNetwork')
    expect(pod).not.toHaveProperty('initContainers')
    for (const { securityContext } of pod.containers)
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
    const kinds = pod.volumes.map(({ name: _, ...source }: { name: string }) => Object.keys(source)[0])
    expect(new Set(kinds)).toEqual(new Set(['configMap', 'secret', 'emptyDir']))
  })

  test('gives the pod no access to the API and no variables of Services', () => {
    expect(pod.automountServiceAccountToken).toBe(false)
    expect(pod.enableServiceLinks).toBe(false)
  })

  test('mounts secrets as files that the group of the image’s user may read', () => {
    const secrets = pod.volumes.filter((volume: object) => 'secret' in volume)
    expect(secrets.map(({ secret }: { secret: { defaultMode: number } }) => secret.defaultMode)).toEqual([0o440])
    expect(pod.securityContext.fsGroup).toBe(65532)
    expect(file).not.toMatch(/secretKeyRef|envFrom/)
  })

  test('mounts what is in the file or made by the commands at its top, each volume once', () => {
    const sources: string[] = pod.volumes.flatMap(
      ({ configMap, secret }: { configMap?: { name: string }; secret?: { secretName: string } }) =>
        configMap?.name ?? secret?.secretName ?? [],
    )
    const made = [...file.matchAll(/^# +kubectl create (?:secret generic|configmap) (\S+)/gm)].map(([, name]) => name)
    expect(sources.toSorted()).toEqual([...made, of('ConfigMap').metadata.name].toSorted())
    expect(container.volumeMounts.map(({ name }: { name: string }) => name).toSorted()).toEqual(
      pod.volumes.map(({ name }: { name: string }) => name).toSorted(),
    )
  })

  test('configures pgbosun with keys that exist, and secrets with files that are mounted', () => {
    const text: string = of('ConfigMap').data['pgbosun.yaml']
    const keys = [...file.matchAll(/--from-literal=([\w-]+)=/g)].map(([, key]) => `/etc/pgbosun/secrets/${key}`)
    expect(configSchema.safeParse(parse(text)).error).toBeUndefined()
    expect([...text.matchAll(/file: (\S+) }/g)].map(([, path]) => path)).toEqual(keys)
    expect(container.env).toEqual([{ name: 'PGBOSUN_CONFIG', value: '/etc/pgbosun/config/pgbosun.yaml' }])
  })

  test('names a version of the image and says what it needs', () => {
    expect(container.image).toMatch(/:\d+\.\d+\.\d+$/)
    expect(container.resources).toEqual({
      requests: { cpu: '10m', memory: '64Mi' },
      limits: { memory: '128Mi' },
    })
    expect(container.terminationMessagePolicy).toBe('FallbackToLogsOnError')
  })
})
