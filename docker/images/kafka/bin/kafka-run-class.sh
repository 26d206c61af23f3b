#!/bin/bash
# The variables of Apache Kafka's own script that docker/compose.yaml and its users set.
base=/opt/kafka
# shellcheck disable=SC2086
exec java ${KAFKA_HEAP_OPTS:--Xmx256m} ${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseG1GC} -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
  ${KAFKA_LOG4J_OPTS:--Dlog4j2.configurationFile=$base/config/tools-log4j2.yaml} ${KAFKA_OPTS:-} -cp "$base/libs/*" "$@"
