{{/* What the pods have in common. In: root; checksums belong to what they are made of, so that a change starts pods again. */}}

{{- define "opshub.checksums" -}}
checksum/settings: {{ include "opshub.settings" . | sha256sum }}
checksum/connectors: {{ toJson .Values.connectors | sha256sum }}
checksum/secrets: {{ toJson .Values.secrets | sha256sum }}
{{- end -}}

{{- define "opshub.podStart" -}}
serviceAccountName: {{ include "opshub.serviceAccount" . }}
{{ include "opshub.podSafety" . }}
{{- end -}}

{{/* Without a service account, as a hook needs it: it runs before the account is made. */}}
{{- define "opshub.podSafety" -}}
automountServiceAccountToken: false
# A service named <release>-console would otherwise set OPSHUB_CONSOLE_PORT=tcp://… in each pod.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- end -}}

{{- define "opshub.image.part" -}}
image: {{ include "opshub.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.containerSecurityContext | nindent 2 }}
{{- end -}}

{{- define "opshub.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* In: root, part, given (constraints of the user). */}}
{{- define "opshub.spread" -}}
topologySpreadConstraints:
{{- if .given }}
  {{- toYaml .given | nindent 2 }}
{{- else }}
  {{- $context := . }}
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "opshub.selector" $context | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* In: root, settings (name of the ConfigMap). */}}
{{- define "opshub.envFrom" -}}
envFrom:
  - configMapRef: {name: {{ .settings }}}
{{- end -}}

{{- define "opshub.env" -}}
- {name: OPSHUB_STATE_DIR, value: /var/lib/opshub/state}
- {name: OPSHUB_SECRETS_DIR, value: /run/secrets/opshub}
- {name: HOME, value: /var/lib/opshub/state}
{{- end -}}

{{- define "opshub.mounts" -}}
- {name: state, mountPath: /var/lib/opshub/state}
- {name: tmp, mountPath: /tmp}
- {name: secrets, mountPath: /run/secrets/opshub, readOnly: true}
{{- $folder := "/etc/opshub/connectors" }}
{{- if .Values.connectors.files }}
- {name: connectors, mountPath: {{ $folder }}, readOnly: true}
{{- end }}
{{- range $system, $_ := .Values.connectors.configMaps }}
- {name: {{ printf "system-%s" $system }}, mountPath: {{ printf "%s/%s" $folder $system }}, readOnly: true}
{{- end }}
{{- if .Values.connectors.ownershipConfigMap }}
- {name: ownership, mountPath: {{ $folder }}/ownership.yaml, subPath: ownership.yaml, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* In: root, secret and connectors (names of what the chart makes; a hook has its own). */}}
{{- define "opshub.volumes" -}}
- name: state
  emptyDir: {sizeLimit: 256Mi}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
- name: secrets
  secret: {secretName: {{ .secret }}, defaultMode: 0440}
{{- if .root.Values.connectors.files }}
- name: connectors
  configMap:
    name: {{ .connectors }}
    items:
      {{- range $path, $_ := .root.Values.connectors.files }}
      - {key: {{ include "opshub.fileKey" $path }}, path: {{ $path }}}
      {{- end }}
{{- end }}
{{- range $system, $name := .root.Values.connectors.configMaps }}
- name: {{ printf "system-%s" $system }}
  configMap: {name: {{ $name }}}
{{- end }}
{{- with .root.Values.connectors.ownershipConfigMap }}
- name: ownership
  configMap: {name: {{ . }}}
{{- end }}
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A key of a ConfigMap has no slash. */}}
{{- define "opshub.fileKey" -}}
{{- . | replace "/" ".." -}}
{{- end -}}
