"""The dictionary language: rows of a source → canonical records, by functions compiled from `dictionary.yaml`."""
