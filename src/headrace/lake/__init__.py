"""The lake: commits, versions, reads, chains and collection, over any store. See `docs/reference/lake-format.md`."""
