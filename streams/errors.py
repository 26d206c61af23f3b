"""Every error that opshub raises, by what the caller does next. `error_policy.py` holds what the worker does about
each.

    OpshubError
    ├── RetryLater          the world is not ready (hub, broker, registry away): wait, then the same again
    │   └── Fenced          another worker owns this work now: drop what is in hand and rejoin
    ├── BadRecord           this record can never pass as it is: dead-letter it, go on with other keys
    │   ├── DecodeError
    │   ├── MappingError
    │   └── EncodeError
    ├── ConfigError         what a person wrote is wrong: stop, exit code 2
    └── EnvironmentFault    a server, port, disk or right is missing: stop, exit code 3
        ├── ServerAway      a server does not answer: it may come
        └── AccessDenied    a server answers and refuses the login: waiting does not help

An error that reaches a person says what is wrong, where, and what would mend it.
"""

from __future__ import annotations


class OpshubError(Exception):
    """Something went wrong in opshub."""

    exit_code = 1

    def __init__(self, message: str = "", *, remedy: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())
        self.remedy = remedy


class RetryLater(OpshubError):
    """A server that is needed is away; the same work will be tried again."""


class Fenced(RetryLater):
    """Another worker owns these partitions now."""


class BadRecord(OpshubError):
    """This record can never pass as it is."""

    stage = "unknown"


class DecodeError(BadRecord):
    """The bytes are not a Debezium event that can be read."""

    stage = "decode"


class MappingError(BadRecord):
    """The dictionary rejects a value of this row."""

    stage = "mapping"


class EncodeError(BadRecord):
    """The canonical record does not fit its Avro schema."""

    stage = "encode"


class ConfigError(OpshubError):
    """What was configured is wrong."""

    exit_code = 2


class EnvironmentFault(OpshubError):
    """A server, a port, a disk or a right that is needed is missing."""

    exit_code = 3


class ServerAway(EnvironmentFault):
    """A server that is needed does not answer."""


class AccessDenied(EnvironmentFault):
    """A server that is needed answers, and refuses the login."""
