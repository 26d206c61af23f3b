{{/* Names and labels. Each takes the root context, or a dict of it ("root") and a part ("part"). */}}

{{- define "opshub.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 36 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 36 characters: with its part, a StatefulSet may have 52, as Kubernetes makes labels of them. */}}
{{- define "opshub.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 36 | trimSuffix "-" -}}
{{- else if contains (include "opshub.name" .) .Release.Name -}}
{{- .Release.Name | trunc 36 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "opshub.name" .) | trunc 36 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "opshub.selector" -}}
app.kubernetes.io/name: {{ include "opshub.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "opshub.labels" -}}
{{ include "opshub.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "opshub.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "opshub.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "opshub.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "opshub.secretName" -}}
{{- default (printf "%s-secrets" (include "opshub.fullname" .)) .Values.secrets.existingSecret -}}
{{- end -}}

{{/* hook, job or none. */}}
{{- define "opshub.applyAs" -}}
{{- if eq .Values.apply.as "auto" -}}
{{- ternary "job" "hook" .Values.strimzi.enabled -}}
{{- else -}}
{{- .Values.apply.as -}}
{{- end -}}
{{- end -}}

{{/* A Job cannot be changed: without a hook, each revision makes its own, and so do other values where there are no revisions. */}}
{{- define "opshub.applyName" -}}
{{- $name := printf "%s-apply" (include "opshub.fullname" .) -}}
{{- if eq (include "opshub.applyAs" .) "hook" -}}
{{- $name -}}
{{- else -}}
{{- printf "%s-%d-%s" $name .Release.Revision (print (toJson .Values) (include "opshub.image" .) | sha256sum | trunc 6) -}}
{{- end -}}
{{- end -}}

{{- define "opshub.kafka" -}}
{{- if .Values.kafka.bootstrapServers -}}
{{- .Values.kafka.bootstrapServers -}}
{{- else -}}
{{- printf "%s-kafka-bootstrap:9092" (include "opshub.kafkaName" .) -}}
{{- end -}}
{{- end -}}

{{- define "opshub.kafkaName" -}}
{{- printf "%s-kafka" (include "opshub.fullname" .) -}}
{{- end -}}

{{/* Strimzi makes the service <name>-connect-api. */}}
{{- define "opshub.connect" -}}
{{- if .Values.connect.url -}}
{{- trimSuffix "/" .Values.connect.url -}}
{{- else -}}
{{- printf "http://%s-connect-api:8083" (include "opshub.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- define "opshub.makesConnect" -}}
{{- if and .Values.strimzi.enabled .Values.strimzi.connect.enabled (not .Values.connect.url) -}}yes{{- end -}}
{{- end -}}

{{- define "opshub.consoleHost" -}}
{{- (urlParse .Values.console.url).hostname -}}
{{- end -}}

{{/* Whether only `kubectl port-forward` leads to the console. */}}
{{- define "opshub.consoleIsLocal" -}}
{{- if has (include "opshub.consoleHost" .) (list "localhost" "127.0.0.1" "::1") -}}yes{{- end -}}
{{- end -}}

{{/* The replicas that a pool may come to; 0 where it is not made. In: root, pool. */}}
{{- define "opshub.poolSize" -}}
{{- $pool := index .root.Values.workers .pool -}}
{{- if eq $pool.autoscaling.by "none" -}}
{{- int $pool.replicas -}}
{{- else -}}
{{- int $pool.autoscaling.maxReplicas -}}
{{- end -}}
{{- end -}}

{{/* The part of a pool, in names and labels. */}}
{{- define "opshub.poolPart" -}}
{{- ternary "worker" (printf "worker-%s" .) (eq . "all") -}}
{{- end -}}
