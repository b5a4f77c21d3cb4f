"""Commands in this process, in a folder of their own."""

from in_process import folder, headrace

__all__ = ["folder", "headrace"]
