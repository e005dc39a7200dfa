{{- define "pgbosun.labels" -}}
app.kubernetes.io/name: pgbosun
app.kubernetes.io/instance: {{ .instance }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "pgbosun.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* What a changed configuration changes in a pod, so that there is a new one. */}}
{{- define "pgbosun.annotations" -}}
checksum/config: {{ .config | sha256sum }}
{{- with .root.Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "pgbosun.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .grace | default 60 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  fsGroup: {{ .group | default 65532 }}
  {{- if .volume }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* What every container of pgbosun has. */}}
{{- define "pgbosun.container" -}}
image: {{ include "pgbosun.image" . }}
{{- if ne .Values.image.pullPolicy "IfNotPresent" }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  runAsUser: 65532
  runAsGroup: 65532
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
resources:
  requests: { cpu: 10m, memory: 64Mi }
  limits: { memory: 128Mi }
{{- end }}

{{- define "pgbosun.env" -}}
- { name: PGBOSUN_CONFIG, value: /etc/pgbosun/config/pgbosun.yaml }
{{ include "pgbosun.tlsEnv" . }}
{{- end }}

{{- define "pgbosun.tlsEnv" -}}
{{- if .Values.tls.secret -}}
- { name: PGBOSUN_DATABASE_TLS_MODE, value: verify-full }
- { name: PGBOSUN_DATABASE_TLS_CA, value: /etc/pgbosun/tls/ca.crt }
{{- end }}
{{- end }}

{{- define "pgbosun.tlsMount" -}}
{{- if .Values.tls.secret -}}
- { name: tls, mountPath: /etc/pgbosun/tls, readOnly: true }
{{- end }}
{{- end }}

{{- define "pgbosun.tlsVolume" -}}
{{- if .Values.tls.secret -}}
- { name: tls, secret: { secretName: {{ .Values.tls.secret }}, defaultMode: 0440, items: [{ key: ca.crt, path: ca.crt }] } }
{{- end }}
{{- end }}

{{- define "pgbosun.upMounts" -}}
- { name: config, mountPath: /etc/pgbosun/config, readOnly: true }
- { name: admin, mountPath: /etc/pgbosun/admin, readOnly: true }
- { name: app, mountPath: /etc/pgbosun/app, readOnly: true }
{{- if .Values.secrets.backup }}
- { name: backup, mountPath: /etc/pgbosun/backup, readOnly: true }
{{- end }}
{{ include "pgbosun.tlsMount" . }}
{{- if .Values.migrations.configMap }}
- { name: migrations, mountPath: /migrations, readOnly: true }
{{- end }}
- { name: tmp, mountPath: /tmp }
{{- end }}

{{/* keys: those of the application's Secret that the pod sees. */}}
{{- define "pgbosun.upVolumes" -}}
- { name: config, configMap: { name: {{ .root.Values.instance }}-pgbosun } }
- { name: admin, secret: { secretName: {{ .root.Values.secrets.admin }}, defaultMode: 0440, items: [{ key: url, path: url }] } }
- name: app
  secret:
    secretName: {{ .root.Values.secrets.app }}
    defaultMode: 0440
    items: {{ range .keys }}
      - { key: {{ . }}, path: {{ . }} }
      {{- end }}
{{- with .root.Values.secrets.backup }}
- name: backup
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: {{ range $.backupKeys | default (list "password") }}
      - { key: {{ . }}, path: {{ . }} }
      {{- end }}
{{- end }}
{{ include "pgbosun.tlsVolume" .root }}
{{- with .root.Values.migrations.configMap }}
- { name: migrations, configMap: { name: {{ . }} } }
{{- end }}
- { name: tmp, emptyDir: { sizeLimit: 64Mi } }
{{- end }}

{{/* A drained node is not a failure; what a retry cannot fix is: docs/exit-codes.md. */}}
{{- define "pgbosun.tries" -}}
backoffLimit: 3
podReplacementPolicy: Failed
podFailurePolicy:
  rules:
    - action: Ignore
      onPodConditions: [{ type: DisruptionTarget, status: 'True' }]
    {{- range $container, $codes := . }}
    - action: FailJob
      onExitCodes: { containerName: {{ $container }}, operator: In, values: {{ $codes }} }
    {{- end }}
{{- end }}
