"""The console: pages for people and one API, both by the same operations; `opshub console` runs it."""
