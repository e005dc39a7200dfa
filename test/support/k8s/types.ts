import * as z from 'zod'

/**
 * The objects of Kubernetes that k8s/ uses, with the fields that it uses: anything else is a typing error, or something to look up and
 * add here. What a pod must not have (hostNetwork, hostPath, secretKeyRef, …) is missing on purpose.
 */
const name = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)
const labels = z.record(
  z.string().regex(/^([a-z0-9.-]+\/)?[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?$/),
  z.string().regex(/^[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$/),
)
const annotations = z.record(z.string().regex(/^([a-z0-9.-]+\/)?[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?$/), z.string())
const metadata = z.strictObject({
  name,
  namespace: name.optional(),
  labels: labels.optional(),
  annotations: annotations.optional(),
})
const podMetadata = z.strictObject({ labels, annotations: annotations.optional() })
const quantity = z.string().regex(/^[1-9]\d*(m|Ki|Mi|Gi)?$/)
const count = z.int().min(0)
const seconds = z.int().min(1)
const path = z.string().regex(/^\//)
const key = z.string().regex(/^[\w.-]+$/)
const portNumber = z.int().min(1).max(65_535)
const port = z.union([portNumber, name.max(15)])

const probe = z.strictObject({
  httpGet: z.strictObject({ path, port }).optional(),
  exec: z.strictObject({ command: z.array(z.string()).min(1) }).optional(),
  periodSeconds: seconds.optional(),
  timeoutSeconds: seconds.optional(),
  failureThreshold: seconds.optional(),
})

const podSecurityContext = z.strictObject({
  runAsNonRoot: z.boolean().optional(),
  fsGroup: count.optional(),
  fsGroupChangePolicy: z.enum(['Always', 'OnRootMismatch']).optional(),
  seccompProfile: z.strictObject({ type: z.enum(['RuntimeDefault', 'Unconfined']) }).optional(),
})

const securityContext = z.strictObject({
  runAsUser: count.optional(),
  runAsGroup: count.optional(),
  runAsNonRoot: z.boolean().optional(),
  allowPrivilegeEscalation: z.boolean().optional(),
  readOnlyRootFilesystem: z.boolean().optional(),
  capabilities: z
    .strictObject({ add: z.array(z.string()).optional(), drop: z.array(z.string()).optional() })
    .optional(),
})

const amounts = z.strictObject({ cpu: quantity.optional(), memory: quantity.optional() })

const container = z.strictObject({
  name,
  image: z.string(),
  args: z.array(z.string()).optional(),
  env: z.array(z.strictObject({ name: z.string().regex(/^[A-Z][A-Z0-9_]*$/), value: z.string() })).optional(),
  ports: z.array(z.strictObject({ name: name.max(15), containerPort: portNumber })).optional(),
  startupProbe: probe.optional(),
  livenessProbe: probe.optional(),
  readinessProbe: probe.optional(),
  resources: z.strictObject({ requests: amounts, limits: amounts }).optional(),
  securityContext: securityContext.optional(),
  terminationMessagePolicy: z.enum(['File', 'FallbackToLogsOnError']).optional(),
  volumeMounts: z.array(z.strictObject({ name, mountPath: path, readOnly: z.boolean().optional() })).optional(),
})

/** `restartPolicy` makes it a sidecar. */
const initContainer = container.extend({ restartPolicy: z.literal('Always').optional() })

const mode = z.int().min(0).max(0o777)
const items = z.array(z.strictObject({ key, path: key })).min(1)

const volume = z.strictObject({
  name,
  configMap: z.strictObject({ name }).optional(),
  secret: z.strictObject({ secretName: name, defaultMode: mode, items }).optional(),
  emptyDir: z.strictObject({ medium: z.literal('Memory').optional(), sizeLimit: quantity }).optional(),
  persistentVolumeClaim: z.strictObject({ claimName: name }).optional(),
})

const podAffinity = z.strictObject({
  preferredDuringSchedulingIgnoredDuringExecution: z.array(
    z.strictObject({
      weight: z.int().min(1).max(100),
      podAffinityTerm: z.strictObject({
        topologyKey: z.literal('kubernetes.io/hostname'),
        labelSelector: z.strictObject({ matchLabels: labels }),
      }),
    }),
  ),
})

const pod = z.strictObject({
  restartPolicy: z.enum(['Always', 'OnFailure', 'Never']).optional(),
  serviceAccountName: name.optional(),
  automountServiceAccountToken: z.boolean().optional(),
  enableServiceLinks: z.boolean().optional(),
  terminationGracePeriodSeconds: count.optional(),
  securityContext: podSecurityContext.optional(),
  affinity: z.strictObject({ podAffinity }).optional(),
  initContainers: z.array(initContainer).optional(),
  containers: z.array(container).min(1),
  volumes: z.array(volume).optional(),
})

const template = z.strictObject({ metadata: podMetadata, spec: pod })

const podFailurePolicy = z.strictObject({
  rules: z.array(
    z.discriminatedUnion('action', [
      z.strictObject({
        action: z.literal('Ignore'),
        onPodConditions: z.array(z.strictObject({ type: z.literal('DisruptionTarget'), status: z.literal('True') })),
      }),
      z.strictObject({
        action: z.literal('FailJob'),
        onExitCodes: z.strictObject({
          containerName: name,
          operator: z.literal('In'),
          values: z.array(z.int().min(1).max(255)).min(1),
        }),
      }),
    ]),
  ),
})

const jobSpec = z.strictObject({
  backoffLimit: count.optional(),
  activeDeadlineSeconds: seconds.optional(),
  ttlSecondsAfterFinished: count.optional(),
  podReplacementPolicy: z.enum(['Failed', 'TerminatingOrFailed']).optional(),
  podFailurePolicy: podFailurePolicy.optional(),
  template,
})

const cronJobSpec = z.strictObject({
  schedule: z.string(),
  timeZone: z.string().optional(),
  concurrencyPolicy: z.enum(['Allow', 'Forbid', 'Replace']).optional(),
  startingDeadlineSeconds: seconds.optional(),
  successfulJobsHistoryLimit: count.optional(),
  failedJobsHistoryLimit: count.optional(),
  jobTemplate: z.strictObject({ metadata: podMetadata, spec: jobSpec }),
})

const deploymentSpec = z.strictObject({
  replicas: count,
  strategy: z.strictObject({ type: z.enum(['Recreate', 'RollingUpdate']) }).optional(),
  progressDeadlineSeconds: seconds.optional(),
  selector: z.strictObject({ matchLabels: labels }),
  template,
})

const claimSpec = z.strictObject({
  accessModes: z.array(z.enum(['ReadWriteOnce', 'ReadWriteMany', 'ReadWriteOncePod'])).length(1),
  resources: z.strictObject({ requests: z.strictObject({ storage: quantity }) }),
})

const statefulSetSpec = z.strictObject({
  replicas: count,
  serviceName: name,
  selector: z.strictObject({ matchLabels: labels }),
  template,
  volumeClaimTemplates: z.array(z.strictObject({ metadata, spec: claimSpec })).min(1),
})

const serviceSpec = z.strictObject({
  type: z.literal('ClusterIP').optional(),
  selector: labels,
  ports: z.array(z.strictObject({ name: name.max(15), port: portNumber, targetPort: port })).min(1),
})

const peer = z.strictObject({
  podSelector: z.strictObject({ matchLabels: labels }).optional(),
  namespaceSelector: z.strictObject({ matchLabels: labels }).optional(),
})
const policyPorts = z.array(z.strictObject({ protocol: z.enum(['TCP', 'UDP']), port: portNumber })).min(1)

const networkPolicySpec = z.strictObject({
  podSelector: z.strictObject({ matchLabels: labels.optional() }),
  policyTypes: z.array(z.enum(['Ingress', 'Egress'])).min(1),
  ingress: z.array(z.strictObject({ from: z.array(peer).min(1), ports: policyPorts })).optional(),
  egress: z.array(z.strictObject({ to: z.array(peer).min(1).optional(), ports: policyPorts })).optional(),
})

const group = z.literal('rbac.authorization.k8s.io')

const roleRules = z
  .array(
    z.strictObject({
      apiGroups: z.array(z.enum(['', 'apps', 'batch'])).min(1),
      resources: z.array(z.string().regex(/^[a-z]+(\/[a-z]+)?$/)).min(1),
      verbs: z.array(z.enum(['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'])).min(1),
    }),
  )
  .min(1)

const kind = <A extends string, K extends string>(apiVersion: A, kind: K) => ({
  apiVersion: z.literal(apiVersion),
  kind: z.literal(kind),
  metadata,
})

export const objectSchema = z.discriminatedUnion('kind', [
  z.strictObject({ ...kind('v1', 'ConfigMap'), data: z.record(key, z.string()) }),
  z.strictObject({ ...kind('v1', 'Secret'), stringData: z.record(key, z.string()) }),
  z.strictObject({ ...kind('v1', 'PersistentVolumeClaim'), spec: claimSpec }),
  z.strictObject(kind('v1', 'Namespace')),
  z.strictObject({ ...kind('rbac.authorization.k8s.io/v1', 'Role'), rules: roleRules }),
  z.strictObject({
    ...kind('rbac.authorization.k8s.io/v1', 'RoleBinding'),
    roleRef: z.strictObject({ apiGroup: group, kind: z.literal('Role'), name }),
    subjects: z.array(z.strictObject({ apiGroup: group, kind: z.literal('Group'), name })).min(1),
  }),
  z.strictObject({ ...kind('v1', 'ServiceAccount'), automountServiceAccountToken: z.literal(false) }),
  z.strictObject({ ...kind('v1', 'Service'), spec: serviceSpec }),
  z.strictObject({ ...kind('networking.k8s.io/v1', 'NetworkPolicy'), spec: networkPolicySpec }),
  z.strictObject({ ...kind('apps/v1', 'StatefulSet'), spec: statefulSetSpec }),
  z.strictObject({ ...kind('apps/v1', 'Deployment'), spec: deploymentSpec }),
  z.strictObject({ ...kind('batch/v1', 'Job'), spec: jobSpec }),
  z.strictObject({ ...kind('batch/v1', 'CronJob'), spec: cronJobSpec }),
])

export type KubernetesObject = z.output<typeof objectSchema>
export type Probe = z.output<typeof probe>
export type OfKind<K extends KubernetesObject['kind']> = Extract<KubernetesObject, { kind: K }>
export type Pod = z.output<typeof pod>
export type Volume = z.output<typeof volume>
export type Container = z.output<typeof initContainer>
export type JobSpec = z.output<typeof jobSpec>
