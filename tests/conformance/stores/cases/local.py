"""How to make a fresh local store."""

from headrace.backends.stores import local

IS_SHARED_BY_PROCESSES = True


def fresh(folder):
    return local.open(str(folder / "lake"))
