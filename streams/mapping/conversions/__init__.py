"""The cleansing library: each conversion is a named, documented factory that gives a function from a source's value to
a clean one.

A factory takes the options of a step (`{phone: {country: DE}}`) as keyword arguments, checks them once, and returns
`convert(value)`, which gives the clean value or raises `BadValue`. It never sees null. What it mends it says through
`note(reason, value)`, if the factory takes a keyword `note`; a keyword `country` or `timezone` gets the dictionary's,
unless the step says otherwise.
"""
