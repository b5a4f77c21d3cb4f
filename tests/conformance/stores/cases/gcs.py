"""Where a fresh store in Google Cloud Storage is: on fake-gcs-server, behind a translation of ours of the XML API that obstore speaks."""

from hashlib import sha256

import pytest
from object_servers import gcs_server, why_no

SERVERS = {"fake-gcs-server": False}


def start(_server):
    if why_no("fake-gcs-server"):
        pytest.skip(why_no("fake-gcs-server"))
    return gcs_server


def uri(folder, server):
    return f"gs://{server.bucket}/{sha256(str(folder).encode()).hexdigest()[:16]}/lake"
