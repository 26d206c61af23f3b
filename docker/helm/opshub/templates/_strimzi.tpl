{{/* As streams/stack/kafka.py sets them for the native stack, as far as Strimzi lets one. In: replicas, given. */}}
{{- define "opshub.brokerConfig" -}}
{{- $made := dict
  "auto.create.topics.enable" false
  "default.replication.factor" .replicas
  "min.insync.replicas" (max 1 (sub .replicas 1))
  "offsets.topic.replication.factor" .replicas
  "transaction.state.log.replication.factor" .replicas
  "transaction.state.log.min.isr" (max 1 (sub .replicas 1))
  "message.max.bytes" 8388608
  "replica.fetch.max.bytes" 8388608
  "log.message.timestamp.after.max.ms" "9223372036854775807"
  "transaction.abort.timed.out.transaction.cleanup.interval.ms" 1000
  "group.initial.rebalance.delay.ms" 0
  "group.min.session.timeout.ms" 1000
-}}
{{- merge (dict) .given $made | toYaml -}}
{{- end -}}

{{/* As docker/connect.properties, less what Strimzi sets itself; a test compares them. In: the user's own settings. -1 is the brokers' default. */}}
{{- define "opshub.connectConfig" -}}
{{- $made := dict
  "plugin.discovery" "service_load"
  "key.converter" "org.apache.kafka.connect.json.JsonConverter"
  "key.converter.schemas.enable" false
  "value.converter" "org.apache.kafka.connect.json.JsonConverter"
  "value.converter.schemas.enable" false
  "config.storage.replication.factor" -1
  "offset.storage.replication.factor" -1
  "offset.storage.partitions" 4
  "status.storage.replication.factor" -1
  "status.storage.partitions" 2
  "offset.flush.interval.ms" 5000
  "connector.client.config.override.policy" "All"
  "config.providers" "env"
  "config.providers.env.class" "org.apache.kafka.common.config.provider.EnvVarConfigProvider"
  "scheduled.rebalance.max.delay.ms" 0
  "session.timeout.ms" 6000
  "heartbeat.interval.ms" 2000
  "task.shutdown.graceful.timeout.ms" 8000
  "producer.compression.type" "lz4"
  "producer.linger.ms" 1
  "producer.batch.size" 262144
  "producer.buffer.memory" 67108864
  "producer.max.request.size" 8388608
-}}
{{- merge (dict) . $made | toYaml -}}
{{- end -}}

{{/* Variables of Connect: those of `variables`, and the secrets that a source.json asks for. */}}
{{- define "opshub.connectEnv" -}}
{{- $secret := include "opshub.secretName" . -}}
{{- $keys := .Values.strimzi.connect.secretKeys -}}
{{- range $name, $_ := .Values.secrets.values -}}
{{- if not (hasPrefix "OPSHUB_" $name) -}}{{- $keys = append $keys $name -}}{{- end -}}
{{- end -}}
{{- range $name, $value := .Values.variables }}
- {name: {{ $name }}, value: {{ include "opshub.text" $value | quote }}}
{{- end }}
{{- range $name := uniq $keys }}
- name: {{ $name }}
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $name }}}}
{{- end }}
{{- end -}}
