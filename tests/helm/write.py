"""`python -m tests.helm.write`: write values.schema.json again, and with helm the golden files (`make helm-golden`).

`--schema` writes the schema alone, which needs no helm (`make settings`).
"""

from __future__ import annotations

import json
import sys

from tests.helm.inputs import NUMBER, inputs_number
from tests.helm.render import CHART, EXAMPLES, GOLDEN, MISSING, golden_text, helm_path, render
from tests.helm.values_schema import values_schema


def schema_text() -> str:
    """values.schema.json as it should be."""
    return json.dumps(values_schema(), indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    (CHART / "values.schema.json").write_text(schema_text(), encoding="utf-8")
    if "--schema" in arguments:
        return 0
    if helm_path() is None:
        print(MISSING, file=sys.stderr)
        return 1
    GOLDEN.mkdir(exist_ok=True)
    for values in EXAMPLES:
        (GOLDEN / values.name).write_text(golden_text(render(values)), encoding="utf-8")
    NUMBER.write_text(inputs_number() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
