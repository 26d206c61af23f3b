#!/bin/sh
# Makes random passwords, each once, and copies to the volume of each reader what it needs. Runs as root without capabilities; files
# are readable by whoever mounts their volume, as the readers' user ids differ. No newline at their end: some readers keep it.
set -eu
umask 022
all=/secrets/all

random() {  # NAME: the password of this name, made if it is new
  [ -s "$all/$1" ] || { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' > "$all/$1.new"; mv "$all/$1.new" "$all/$1"; }
}

give() {  # READER NAME…
  reader=$1; shift
  for name in "$@"; do
    random "$name"
    cmp -s "$all/$name" "/secrets/$reader/$name" || cp "$all/$name" "/secrets/$reader/$name"
  done
}

capture="DEMO_CRM_CAPTURE_PASSWORD DEMO_ERP_CAPTURE_PASSWORD"
writeback="DEMO_CRM_WRITEBACK_PASSWORD DEMO_ERP_WRITEBACK_PASSWORD"
give crm DEMO_CRM_ADMIN_PASSWORD
give erp DEMO_ERP_ADMIN_PASSWORD
give hub OPSHUB_HUB_ADMIN_PASSWORD OPSHUB_HUB_PASSWORD OPSHUB_HUB_REPLICATION_PASSWORD
give registry OPSHUB_REGISTRY_PASSWORD
# shellcheck disable=SC2086
give connect $capture
# shellcheck disable=SC2086
give worker OPSHUB_HUB_PASSWORD $capture $writeback
# shellcheck disable=SC2086
give systems $capture $writeback DEMO_CRM_ADMIN_PASSWORD DEMO_ERP_ADMIN_PASSWORD DEMO_CRM_APP_PASSWORD DEMO_ERP_APP_PASSWORD
give people OPSHUB_HUB_PASSWORD console-password
give grafana grafana-password
printf 'apicurio.datasource.password=%s\n' "$(cat $all/OPSHUB_REGISTRY_PASSWORD)" > /secrets/registry/registry.properties
