"""A store in Google Cloud Storage has no server here to be tried on, and the docs say so.

obstore speaks Cloud Storage's XML API; the emulator that can be had (fake-gcs-server 1.55) answers a PUT of it with "invalid uploadType".
"""

SERVERS = {}
