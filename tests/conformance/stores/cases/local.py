"""Where a fresh local store is."""

IS_SHARED_BY_PROCESSES = True


def uri(folder):
    return str(folder / "lake")
