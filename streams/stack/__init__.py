"""The native stack: Postgres, Kafka, Connect with Debezium and the schema registry as ordinary processes of this
machine.

In: settings (ports, folders). Out: running servers, and `.opshub/env` with their addresses and passwords.
Promised: Docker, root, Java and Postgres are not needed; data survives a stop; a failed start leaves nothing running;
only a process that opshub started is ended.
"""
