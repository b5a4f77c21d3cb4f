"""What Python runs, where the text can't tell: code without a source, and code that is not its source any more.

Lives here: a digest of a code object, and whether a module's living functions are what its text says. The invariant: a
digest depends neither on addresses nor on the order of a set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from types import CodeType, FunctionType

from headrace.run.code.module_index import ModuleText

__all__ = ["bytecode_digest", "names_of", "rewritten"]


def bytecode_digest(code: CodeType) -> str:
    """The sha256 of what `code` does, without its name, file and lines."""
    return sha256(_text(code).encode("utf-8", "surrogatepass")).hexdigest()


def names_of(code: CodeType) -> list[str]:
    """The names that `code` and the functions in it look up, sorted: globals, and attributes too."""
    inner = [name for constant in code.co_consts if isinstance(constant, CodeType) for name in names_of(constant)]
    return sorted({*code.co_names, *code.co_freevars, *inner})


def rewritten(text: ModuleText, path: str, namespace: Mapping[str, object]) -> str:
    """A digest of the functions of `namespace` that came from the file `path` but are not in its `text`; empty when all are.

    A file may be saved between its import and its digest. What runs then is the old code, which must not pass for the new.
    """
    strange = [
        function.__code__
        for function in _functions(namespace)
        if function.__code__.co_filename == path
        and text.codes.get((function.__code__.co_qualname, function.__code__.co_firstlineno)) != function.__code__
    ]
    return sha256("".join(sorted(map(bytecode_digest, strange))).encode()).hexdigest() if strange else ""


def _functions(namespace: Mapping[str, object]) -> Iterator[FunctionType]:
    for value in list(namespace.values()):
        if isinstance(value, type) and value.__module__ == namespace.get("__name__"):
            yield from (member for member in vars(value).values() if isinstance(member, FunctionType))
        function = getattr(value, "__wrapped__", value) if callable(value) else value
        if isinstance(function, FunctionType):
            yield function


def _text(constant: object) -> str:
    if isinstance(constant, CodeType):
        inner = ",".join(map(_text, constant.co_consts))
        return f"code({constant.co_code.hex()} {constant.co_names} {constant.co_varnames} {constant.co_freevars} {inner})"
    if isinstance(constant, tuple):
        return f"({','.join(map(_text, constant))})"
    if isinstance(constant, frozenset):
        return f"{{{','.join(sorted(map(_text, constant)))}}}"
    return f"{type(constant).__name__} {hex(constant) if type(constant) is int else repr(constant)}"
