"""Where a fresh store in S3 is: on moto, which is quick, and on versitygw, which checks signatures and keeps its objects on the disk."""

from hashlib import sha256

import pytest
from object_servers import moto_server, s3_server, why_no

SERVERS = {"moto": True, "versitygw": False}


def start(server):
    if server == "versitygw" and why_no("versitygw"):
        pytest.skip(why_no("versitygw"))
    return s3_server if server == "versitygw" else lambda _folder: moto_server()


def uri(folder, server):
    return f"s3://{server.bucket}/{sha256(str(folder).encode()).hexdigest()[:16]}/lake"
