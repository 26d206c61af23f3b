"""The native stack: Postgres, Kafka, Connect with Debezium and the schema registry as plain processes of this machine.

Comes in: settings (ports, folders). Goes out: running servers, and `.opshub/env` with their addresses and
passwords. Promised: no Docker, no root, no Java and no Postgres need be installed; data outlives a stop;
a failed start leaves nothing running; a process is ended only when it is the one that was started.
"""
