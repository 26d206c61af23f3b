"""The language of `dictionary.yaml`: its words (pydantic classes), how a file is read, and its JSON Schema."""
