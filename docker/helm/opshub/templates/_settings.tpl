{{/* The variables that every pod of the chart gets, as the data of a ConfigMap. */}}
{{- define "opshub.settings" -}}
OPSHUB_BOOTSTRAP_SERVERS: {{ include "opshub.kafka" . | quote }}
OPSHUB_REGISTRY_URL: {{ .Values.registry.url | quote }}
OPSHUB_CONNECT_URL: {{ include "opshub.connect" . | quote }}
{{- $connectors := .Values.connectors }}
{{- if $connectors.pathInImage }}
OPSHUB_CONNECTORS_DIR: {{ $connectors.pathInImage | quote }}
{{- else if or $connectors.files $connectors.configMaps }}
OPSHUB_CONNECTORS_DIR: /etc/opshub/connectors
{{- end }}
{{- range $name, $value := .Values.settings }}
OPSHUB_{{ upper $name }}: {{ include "opshub.text" $value | quote }}
{{- end }}
{{- range $name, $value := .Values.variables }}
{{ $name }}: {{ include "opshub.text" $value | quote }}
{{- end }}
{{- end -}}

{{/* Lists and objects as JSON. Helm reads numbers as floats: 1000000 would become 1e+06. */}}
{{- define "opshub.text" -}}
{{- if or (kindIs "slice" .) (kindIs "map" .) -}}
{{- toJson . -}}
{{- else if kindIs "float64" . -}}
{{- if eq . (floor .) -}}{{- int64 . -}}{{- else -}}{{- toString . -}}{{- end -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{- define "opshub.secretData" -}}
{{- range $name, $value := .Values.secrets.values }}
{{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{- define "opshub.connectorFiles" -}}
{{- range $path, $text := .Values.connectors.files }}
{{ include "opshub.fileKey" $path }}: {{ $text | quote }}
{{- end }}
{{- end -}}
