"""The dictionary (字段映射字典) before rows are mapped: its language, checks, compiler, drafts and explanations.

In goes `dictionary.yaml`, out comes a `streams.mapping.compiled.CompiledDictionary`. Workers run only that result:
nothing in this room runs for a row.

| folder or module | what it holds |
| --- | --- |
| `language/` | the words of the language; reading a file; its JSON Schema |
| `compile/` | rules → plans → Python source → `CompiledDictionary` |
| `check/` | `opshub map check`: every mistake at once, examples, the live database |
| `draft/` | `opshub map draft`: a first dictionary for an unknown database |
| `explain`, `readable` | `opshub map explain` and `try`: where a field comes from; values as people read them |
| `canonical_fields`, `standards` | the canonical model as a dictionary sees it |
| `yaml_lines`, `problems` | YAML with line numbers; mistakes with file, line and remedy |
"""
