"""The conversions that a rule's `steps` name. Each is a documented factory: it returns a function from a source's value
to a clean value.

A factory takes the options of a step (`{phone: {country: DE}}`) as keyword arguments and checks them once. It returns
`convert(value)`, which returns the clean value or raises `BadValue`; it is never called with null. A factory with a
keyword `note` gets `note(reason, value)`, and calls it when it changes a value that a person should look at (a mapping
note). A keyword `country` or `timezone` gets the dictionary's, unless the step has its own.

The docstrings of the factories are the page docs/guides/conversions.md. Each ends with an example, which a test runs.
"""
