"""Makes `model_world` importable: tests are collected in importlib mode, which puts no folder on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
