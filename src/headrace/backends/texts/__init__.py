"""What the formats share whose fields are texts: a piece of a file at a time becomes a table of texts, which is cast and checked by column.

No port of its own: a format under `sources/` says how its files are cut into records and how a record's fields become texts.
"""
