import { parseAllDocuments } from 'yaml'
import * as z from 'zod'

/** The objects of Argo CD and Flux that the examples use, with the fields that they use. */
const metadata = z.strictObject({ name: z.string(), namespace: z.string() })
const duration = z.string().regex(/^\d+(s|m|h)$/)
const source = z.strictObject({
  kind: z.literal('GitRepository'),
  name: z.string(),
  namespace: z.string().optional(),
})
const remediation = z.strictObject({ retries: z.int(), strategy: z.enum(['rollback', 'uninstall']).optional() })

const application = z.strictObject({
  project: z.string(),
  source: z.strictObject({ repoURL: z.url(), targetRevision: z.string(), path: z.string() }),
  destination: z.strictObject({ server: z.url(), namespace: z.string() }),
  syncPolicy: z.strictObject({
    automated: z.strictObject({ prune: z.boolean(), selfHeal: z.boolean() }),
    syncOptions: z.array(z.enum(['CreateNamespace=true', 'PruneLast=true'])),
    retry: z.strictObject({
      limit: z.int(),
      backoff: z.strictObject({ duration, factor: z.int(), maxDuration: duration }),
    }),
  }),
})

const kustomization = z.strictObject({
  interval: duration,
  sourceRef: source,
  dependsOn: z.array(z.strictObject({ name: z.string() })).optional(),
  path: z.string().startsWith('./'),
  targetNamespace: z.string(),
  prune: z.boolean(),
  wait: z.boolean(),
  timeout: duration,
  force: z.boolean().optional(),
})

const helmRelease = z.strictObject({
  interval: duration,
  releaseName: z.string(),
  chart: z.strictObject({ spec: z.strictObject({ chart: z.string(), sourceRef: source }) }),
  timeout: duration,
  install: z.strictObject({ remediation }),
  upgrade: z.strictObject({ remediation }),
  values: z.record(z.string(), z.unknown()),
})

const repository = z.strictObject({
  interval: duration,
  url: z.url(),
  ref: z.strictObject({ branch: z.string() }),
})

const kind = <A extends string, K extends string, S extends z.ZodType>(apiVersion: A, kind: K, spec: S) =>
  z.strictObject({ apiVersion: z.literal(apiVersion), kind: z.literal(kind), metadata, spec })

const objectSchema = z.union([
  kind('argoproj.io/v1alpha1', 'Application', application),
  kind('kustomize.toolkit.fluxcd.io/v1', 'Kustomization', kustomization),
  kind('helm.toolkit.fluxcd.io/v2', 'HelmRelease', helmRelease),
  kind('source.toolkit.fluxcd.io/v1', 'GitRepository', repository),
])

/** The objects of a file for Argo CD or Flux; an unknown field throws. */
export const parseDeployer = (text: string) =>
  parseAllDocuments(text).map((document) => objectSchema.parse(document.toJS()))
