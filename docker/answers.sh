#!/bin/bash
# answers PORT [PATH [HOST-HEADER]]: exit code 0 when something listens on this machine's PORT and, with a PATH, answers 2xx or 3xx.
# A health check runs every few seconds for years: this costs a few milliseconds, a Python or a Java program hundreds.
exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
[ $# -gt 1 ] || exit 0
printf 'GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n' "$2" "${3:-127.0.0.1}" >&3
read -r -t 4 _ status _ <&3 || exit 1
if [[ $status != [23]* ]]; then echo "$2 answers $status"; cat <&3 | tail -1; exit 1; fi
