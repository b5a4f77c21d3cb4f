"""What a user's function depends on, as far as code goes: see `closure`."""

from headrace.run.code.closure import CodeIndex
from headrace.run.code.graph import CodeDigest, changed_parts
from headrace.run.code.objects import Dependency

__all__ = ["CodeDigest", "CodeIndex", "Dependency", "changed_parts"]
