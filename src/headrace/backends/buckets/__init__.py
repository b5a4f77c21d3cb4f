"""What the stores and the origins in buckets share: reaching one through obstore, its errors in words, a local cache of its files.

No port of its own: `stores/` and `origins/` have a file for each kind of bucket, which says what is particular about it.
"""
