"""How to make a fresh memory store."""

from headrace.backends.stores import memory

IS_SHARED_BY_PROCESSES = False


def fresh(_folder):
    return memory.open()
