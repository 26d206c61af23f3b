"""The dictionary language: read, check, compile and draft `dictionary.yaml`."""
