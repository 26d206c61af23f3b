{{/* What the JSON schema cannot say. Each line says what to do. */}}
{{- define "opshub.checks" -}}
{{- $v := .Values -}}
{{- $p := list -}}
{{- if not $v.registry.url -}}
{{- $p = append $p "registry.url is not set: the URL of a Confluent-compatible schema registry" -}}
{{- end -}}
{{- if not (or $v.kafka.bootstrapServers $v.strimzi.enabled) -}}
{{- $p = append $p "kafka.bootstrapServers is not set: your brokers as host:port,…; or strimzi.enabled makes some" -}}
{{- end -}}
{{- if not (or $v.connect.url (include "opshub.makesConnect" .)) -}}
{{- $p = append $p "connect.url is not set: Kafka Connect's REST interface; or strimzi.enabled with strimzi.connect.enabled makes one" -}}
{{- end -}}
{{- if not (or $v.secrets.existingSecret $v.secrets.values) -}}
{{- $p = append $p "secrets.existingSecret is not set: a Secret with at least the key OPSHUB_HUB_DSN; or give secrets.values" -}}
{{- end -}}
{{- if and $v.secrets.existingSecret $v.secrets.values -}}
{{- $p = append $p "secrets.existingSecret and secrets.values are both set: keep one of them" -}}
{{- end -}}
{{- if and $v.secrets.values (not (hasKey $v.secrets.values "OPSHUB_HUB_DSN")) -}}
{{- $p = append $p "secrets.values lacks OPSHUB_HUB_DSN, the connection string of the hub" -}}
{{- end -}}
{{- range $name, $_ := $v.variables -}}
{{- if hasKey $v.secrets.values $name -}}
{{- $p = append $p (printf "%s is in variables and in secrets.values: keep one of them" $name) -}}
{{- end -}}
{{- if hasPrefix "OPSHUB_" $name -}}
{{- $p = append $p (printf "variables.%s is a setting: write it as settings.%s" $name (trimPrefix "OPSHUB_" $name | lower)) -}}
{{- end -}}
{{- end -}}
{{- $ways := 0 -}}
{{- range $way := list $v.connectors.files (or $v.connectors.configMaps $v.connectors.ownershipConfigMap) $v.connectors.pathInImage -}}
{{- if $way -}}{{- $ways = add1 $ways -}}{{- end -}}
{{- end -}}
{{- if gt (int $ways) 1 -}}
{{- $p = append $p "connectors: choose one of files, configMaps and pathInImage" -}}
{{- end -}}
{{- $p = concat $p (include "opshub.poolChecks" . | fromJsonArray) -}}
{{- if $v.console.enabled -}}
{{- $p = concat $p (include "opshub.consoleChecks" . | fromJsonArray) -}}
{{- end -}}
{{- if and (include "opshub.makesConnect" .) (not (or $v.strimzi.connect.image $v.strimzi.connect.build.image)) -}}
{{- $p = append $p "strimzi.connect needs Debezium's plugin: give strimzi.connect.image, or strimzi.connect.build.image for the operator to push to" -}}
{{- end -}}
{{- if and (include "opshub.makesConnect" .) $v.strimzi.connect.image $v.strimzi.connect.build.image -}}
{{- $p = append $p "strimzi.connect.image and strimzi.connect.build.image are both set: keep one of them" -}}
{{- end -}}
{{- if and $v.strimzi.enabled $v.kafka.bootstrapServers -}}
{{- $p = append $p "kafka.bootstrapServers is set and strimzi.enabled makes another Kafka: keep one of them" -}}
{{- end -}}
{{- if and $v.strimzi.enabled (eq $v.apply.as "hook") -}}
{{- $p = append $p "apply.as is hook, and strimzi makes Kafka only after the hook: set apply.as to auto or job" -}}
{{- end -}}
{{- if gt (int $v.settings.min_insync_replicas) (int (default 1000 $v.settings.replication_factor)) -}}
{{- $p = append $p (printf "settings.min_insync_replicas is %d, and settings.replication_factor only %d: nothing could be written" (int $v.settings.min_insync_replicas) (int $v.settings.replication_factor)) -}}
{{- end -}}
{{- if and $v.strimzi.enabled (gt (int $v.settings.replication_factor) (int $v.strimzi.brokers.replicas)) -}}
{{- $p = append $p (printf "settings.replication_factor is %d, and strimzi.brokers.replicas only %d" (int $v.settings.replication_factor) (int $v.strimzi.brokers.replicas)) -}}
{{- end -}}
{{- if $p -}}
{{- fail (printf "\n\n  - %s\n" (join "\n  - " $p)) -}}
{{- end -}}
{{- end -}}

{{- define "opshub.poolChecks" -}}
{{- $root := . -}}
{{- $p := list -}}
{{- $partitions := int .Values.settings.partitions -}}
{{- $readers := dict "ingest" 0 "assemble" 0 -}}
{{- range $pool := list "all" "ingest" "assemble" -}}
{{- $size := include "opshub.poolSize" (dict "root" $root "pool" $pool) | int -}}
{{- $scaling := (index $root.Values.workers $pool).autoscaling -}}
{{- if and (ne $scaling.by "none") (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- $p = append $p (printf "workers.%s.autoscaling.minReplicas is more than maxReplicas" $pool) -}}
{{- end -}}
{{- range $lane := ternary (list "ingest" "assemble") (list $pool) (eq $pool "all") -}}
{{- $_ := set $readers $lane (add (get $readers $lane) $size) -}}
{{- end -}}
{{- end -}}
{{- range $lane, $size := $readers -}}
{{- if eq (int $size) 0 -}}
{{- $p = append $p (printf "no worker runs %s: raise workers.all.replicas or workers.%s.replicas" $lane $lane) -}}
{{- else if gt (int $size) $partitions -}}
{{- $p = append $p (printf "up to %d workers would run %s, and settings.partitions is %d: a worker without a partition is never ready" (int $size) $lane $partitions) -}}
{{- end -}}
{{- end -}}
{{- toJson $p -}}
{{- end -}}

{{- define "opshub.consoleChecks" -}}
{{- $c := .Values.console -}}
{{- $p := list -}}
{{- $isLocal := include "opshub.consoleIsLocal" . -}}
{{- if not $c.url -}}
{{- $p = append $p "console.url is not set: the address as people type it, https://…; or set console.enabled to false" -}}
{{- else if not (or $isLocal (hasPrefix "https://" $c.url)) -}}
{{- $p = append $p "console.url is not HTTPS: the console refuses to send passwords in the clear" -}}
{{- end -}}
{{- if and $isLocal $c.ingress.enabled -}}
{{- $p = append $p "console.ingress is enabled, and console.url is localhost: write the address as people type it" -}}
{{- end -}}
{{- if not (or $isLocal $c.tlsSecret $c.proxy) -}}
{{- $p = append $p "the console would serve without TLS: give console.tlsSecret, or console.proxy with the network of the ingress controller's pods" -}}
{{- end -}}
{{- if and (eq $c.proxy "yes") (not (and .Values.networkPolicy.enabled .Values.networkPolicy.console.from)) -}}
{{- $p = append $p "console.proxy is yes, so that only the proxy may reach the console: enable networkPolicy and name the controller in networkPolicy.console.from" -}}
{{- end -}}
{{- toJson $p -}}
{{- end -}}
