{{/* Names and labels that several objects share. */}}

{{- define "llm-serve.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "llm-serve.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "llm-serve.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "llm-serve.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* What selectors go by: never changes between releases. */}}
{{- define "llm-serve.selectorLabels" -}}
app.kubernetes.io/name: {{ include "llm-serve.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: server
{{- end }}

{{/* At most 52 characters: a StatefulSet puts its name, a hyphen and a hash of ten into a label of its pods, of which 63 are allowed. */}}
{{- define "llm-serve.valkeyName" -}}
{{- printf "%s-valkey" (include "llm-serve.fullname" . | trunc 45 | trimSuffix "-") -}}
{{- end }}

{{- define "llm-serve.valkeyLabels" -}}
app.kubernetes.io/name: {{ include "llm-serve.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: valkey
{{- end }}

{{- define "llm-serve.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end }}

{{- define "llm-serve.labels" -}}
{{ include "llm-serve.selectorLabels" . }}
{{ include "llm-serve.commonLabels" . }}
{{- end }}

{{- define "llm-serve.secretName" -}}
{{- default (include "llm-serve.fullname" .) .Values.secret.name -}}
{{- end }}

{{- define "llm-serve.configMapName" -}}
{{- default (include "llm-serve.fullname" .) .Values.existingConfigMap -}}
{{- end }}

{{- define "llm-serve.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "llm-serve.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "llm-serve.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag }}{{- end -}}
{{- end -}}
{{- end }}

{{- define "llm-serve.isScaled" -}}
{{- if ne .Values.autoscaling.kind "none" -}}true{{- end -}}
{{- end }}

{{/* Whether there may be more than one replica. */}}
{{- define "llm-serve.hasSeveral" -}}
{{- if or (gt (int .Values.replicas) 1) (include "llm-serve.isScaled" .) -}}true{{- end -}}
{{- end }}

{{/* Whether models are on a volume that only one node can mount. */}}
{{- define "llm-serve.isBoundToNode" -}}
{{- with .Values.modelCache -}}
{{- if and (or .persistent .existingClaim) (not (has "ReadWriteMany" .accessModes)) -}}true{{- end -}}
{{- end -}}
{{- end }}

{{/* Whether there is a volume for a SQLite file. Two pods that have it open spoil it, whatever the volume's access modes. */}}
{{- define "llm-serve.keepsDatabase" -}}
{{- if or .Values.data.persistent .Values.data.existingClaim -}}true{{- end -}}
{{- end }}

{{/* Of an object with the keys of modelCache and data: what holds it. */}}
{{- define "llm-serve.volumeSource" -}}
{{- if or .volume.persistent .volume.existingClaim -}}
persistentVolumeClaim:
  claimName: {{ default .claim .volume.existingClaim | quote }}
{{- else -}}
emptyDir:
  sizeLimit: {{ .volume.emptyDirSizeLimit }}
{{- end -}}
{{- end }}

{{/* A number of seconds in config.server, or the server's default; 0 is a number. */}}
{{- define "llm-serve.delaySeconds" -}}
{{- $server := default dict (default dict .Values.config).server -}}
{{- if hasKey $server "shutdown_delay_seconds" }}{{ $server.shutdown_delay_seconds }}{{ else }}5{{ end -}}
{{- end }}

{{- define "llm-serve.graceSeconds" -}}
{{- $server := default dict (default dict .Values.config).server -}}
{{- if hasKey $server "shutdown_grace_seconds" }}{{ $server.shutdown_grace_seconds }}{{ else }}20{{ end -}}
{{- end }}

{{/* Environment variable to key of the Secret: those that are read. An open server reads no API keys. */}}
{{- define "llm-serve.secretVariables" -}}
{{- $variables := dict -}}
{{- range $variable, $key := .Values.secret.variables -}}
{{- if and $key (not (and $.Values.allowOpen (eq $variable "LLM_SERVE_AUTH__API_KEYS"))) -}}
{{- $_ := set $variables $variable $key -}}
{{- end -}}
{{- end -}}
{{- toYaml $variables -}}
{{- end }}

{{/* Key of the Secret that Prometheus sends; none where /metrics is open. */}}
{{- define "llm-serve.metricsKey" -}}
{{- if and .Values.serviceMonitor.enabled (not (dig "metrics" "open" false (default dict .Values.config))) -}}
{{- .Values.serviceMonitor.bearerKey -}}
{{- end -}}
{{- end }}

{{/* All keys of the Secret that something reads, as a list under `keys`. */}}
{{- define "llm-serve.secretKeys" -}}
{{- $keys := include "llm-serve.secretVariables" . | fromYaml | values -}}
{{- if .Values.valkey.enabled -}}
{{- $keys = append $keys .Values.valkey.passwordKey -}}
{{- end -}}
{{- $keys = append $keys (include "llm-serve.metricsKey" .) -}}
{{- dict "keys" ($keys | compact | uniq | sortAlpha) | toYaml -}}
{{- end }}
