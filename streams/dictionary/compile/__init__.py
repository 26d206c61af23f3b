"""From a checked dictionary to the Python that a worker runs: plans of tables and fields, expressions, source text."""
