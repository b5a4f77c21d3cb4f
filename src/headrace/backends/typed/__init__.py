"""What the formats share whose values have types in the file: batches of Arrow columns, cast and checked by column as texts are.

No port of its own: a format under `sources/` gives the columns of its files and their records batch by batch, and says where each begins.
"""
