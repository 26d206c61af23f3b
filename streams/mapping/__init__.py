"""What a worker runs for each row: compiled tables and the functions that their generated code calls.

`streams.dictionary` compiles a `dictionary.yaml` into the objects of this room; this room never imports it.

| module | what it holds |
| --- | --- |
| `compiled` | `CompiledDictionary`, `CompiledTable`: row change → canonical records |
| `conversions/` | the conversions that a rule's `steps` name |
| `values/` | source value → value of a canonical type |
| `field_functions` | joined and split columns, JSON paths, value maps, typed references |
| `expression_runtime` | what compiled CEL expressions call |
| `lookups`, `exchange_rates` | code tables and exchange rates, held in memory |
| `notes` | mapping notes: values that a conversion changed or forgave |
| `row_errors` | what can be wrong with a value or a row |
"""
