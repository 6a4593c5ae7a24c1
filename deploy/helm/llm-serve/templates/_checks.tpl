{{/* What the schema cannot say: values that contradict each other, each with what to do. */}}
{{- define "llm-serve.check" -}}
{{- $name := include "llm-serve.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "%q cannot be the name of a Service, which begins with a letter and has letters, digits and hyphens alone. Set fullnameOverride, or choose another name for the release." $name) -}}
{{- end -}}
{{- $delay := include "llm-serve.delaySeconds" . | float64 -}}
{{- with .Values.probes.readiness -}}
{{- if ge (mulf .periodSeconds .failureThreshold) $delay -}}
{{- fail (printf "probes.readiness notices a pod that drains after %v s (periodSeconds × failureThreshold), but config.server.shutdown_delay_seconds is %v: requests would be sent to it when it takes none any more. Lower the one or raise the other." (mulf .periodSeconds .failureThreshold) $delay) -}}
{{- end -}}
{{- end -}}
{{- if and (include "llm-serve.hasSeveral" .) (include "llm-serve.isBoundToNode" .) -}}
{{- fail "modelCache is a volume that one node mounts (accessModes without ReadWriteMany), but there may be several replicas. Use ReadWriteMany." -}}
{{- end -}}
{{- if and (include "llm-serve.hasSeveral" .) (include "llm-serve.keepsDatabase" .) -}}
{{- fail "data is a volume with a SQLite file, which one replica can use, but there may be several. Use a PostgreSQL, LLM_SERVE_ACCESS__STORE in secret.variables, without data.persistent and data.existingClaim." -}}
{{- end -}}
{{- if and .Values.secret.create .Values.externalSecret.enabled -}}
{{- fail "secret.create and externalSecret.enabled both make the Secret. Set one of them to false." -}}
{{- end -}}
{{- if and .Values.externalSecret.enabled (not .Values.externalSecret.store.name) -}}
{{- fail "externalSecret.enabled needs externalSecret.store.name, which is empty." -}}
{{- end -}}
{{- if .Values.secret.create -}}
{{- range (include "llm-serve.secretKeys" . | fromYaml).keys -}}
{{- if not (hasKey $.Values.secret.values .) -}}
{{- fail (printf "The key %q of the Secret is read (secret.variables, valkey.passwordKey, serviceMonitor.bearerKey), but secret.values does not have it." .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.existingConfigMap .Values.restartOnConfigChange -}}
{{- fail "restartOnConfigChange goes by config, but existingConfigMap is read instead. Set restartOnConfigChange: false, and restart with kubectl rollout restart." -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (dig "admin" "metrics" false (default dict .Values.config)) -}}
{{- fail "serviceMonitor asks the Service for /metrics, but with config.admin.metrics: true only the pod's own loopback has it. Set one of them to false." -}}
{{- end -}}
{{- range $label, $_ := include "llm-serve.selectorLabels" . | fromYaml -}}
{{- if hasKey $.Values.podLabels $label -}}
{{- fail (printf "podLabels sets %s, by which the selectors of this chart find its pods. Use another label, or nameOverride." $label) -}}
{{- end -}}
{{- end -}}
{{- if eq (int .Values.adminPort) 8000 -}}
{{- fail "adminPort is 8000, where the server itself listens. Use another, such as 9000." -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "ingress.enabled needs ingress.hosts, which is empty." -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs, which is empty: no Gateway would use the route." -}}
{{- end -}}
{{- if .Values.valkey.enabled -}}
{{- range $section, $variable := dict "limits" "LLM_SERVE_LIMITS__STORE" "leases" "LLM_SERVE_LEASES__STORE" -}}
{{- if get $.Values.secret.variables $variable -}}
{{- fail (printf "valkey.enabled sets %s, which secret.variables sets too. Remove one of them." $variable) -}}
{{- end -}}
{{- if dig $section "store" "" (default dict $.Values.config) -}}
{{- fail (printf "valkey.enabled sets %s, which overrides config.%s.store. Remove one of them." $variable $section) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if dig "admin" "port" "" (default dict .Values.config) -}}
{{- fail "adminPort overrides config.admin.port. Set adminPort alone." -}}
{{- end -}}
{{- if and (eq .Values.autoscaling.kind "keda") (not .Values.autoscaling.keda.query) (not .Values.serviceMonitor.enabled) -}}
{{- fail "autoscaling.keda asks Prometheus by the labels that the ServiceMonitor gives. Set serviceMonitor.enabled: true, or autoscaling.keda.query." -}}
{{- end -}}
{{- if and (include "llm-serve.isScaled" .) (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas." -}}
{{- end -}}
{{- end }}
