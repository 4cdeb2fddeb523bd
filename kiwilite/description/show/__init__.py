"""A description as it holds for one request, with where each value came from.

`elements` makes one tree of all that is shown; `text`, `data` and `xml` print it.
"""
