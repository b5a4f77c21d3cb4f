"""Google Cloud Storage has no server here to be tried on, and the docs say so: see the case of its store."""

SERVERS = {}
