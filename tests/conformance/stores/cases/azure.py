"""Where a fresh store of this kind is: on an emulator."""

from hashlib import sha256

import pytest
from object_servers import azure_server, why_no

SERVERS = {"azurite": False}


def start(_server):
    if why_no("azurite"):
        pytest.skip(why_no("azurite"))
    return azure_server


def uri(folder, server):
    return f"az://{server.bucket}/{sha256(str(folder).encode()).hexdigest()[:16]}/lake"
