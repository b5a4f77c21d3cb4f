"""A model's files: `model.skops` (or, on the user's word only, `model.pkl`) and its card, `model.json`.

skops writes process-dependent ids, times and uninitialised padding; they are taken out, so that equal models are equal bytes. The
invariant: what is read was verified by digest before, is of trusted types only, and its indices are checked.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from headrace.backends.models.sklearn.model import FORMAT, SklearnModel
from headrace.backends.models.sklearn.opening import newer_estimators, skops_io
from headrace.backends.models.sklearn.trusted import TRUSTED, check_indices
from headrace.core.errors import ModelError, NewerFormatError
from headrace.core.manifest import canonical_json
from headrace.core.ports import JSON

__all__ = ["load", "save"]

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can hold


def save(model: SklearnModel, folder: Path, *, trust: Sequence[str], is_pickle_allowed: bool) -> tuple[str, ...]:
    """Write the model's files into a folder that exists; their names. ModelError when a type is neither trusted nor storable."""
    try:
        name, data = "model.skops", _stored(model, trust)
    except ModelError:
        if not is_pickle_allowed:
            raise
        name, data = "model.pkl", _pickled(model)
    (folder / name).write_bytes(data)
    (folder / "model.json").write_bytes(canonical_json({**model.card, "file": name, "versions": _versions(model)}) + b"\n")
    return (name, "model.json")


def load(folder: Path, *, trust: Sequence[str], is_pickle_allowed: bool) -> SklearnModel:
    """Read a model whose digest was verified."""
    card = _card(folder)
    if card["file"] == "model.pkl":
        estimator = _unpickled(folder, is_pickle_allowed=is_pickle_allowed)
    else:
        estimator = _restored(folder / "model.skops", card, trust)
    check_indices(estimator)
    return SklearnModel(estimator, card)


def _versions(model: SklearnModel) -> dict[str, JSON]:
    import skops

    known: Any = model.card["versions"]
    return {**known, "skops": skops.__version__}


# ---------------------------------------------------------------- writing


def _stored(model: SklearnModel, trust: Sequence[str]) -> bytes:
    skops = skops_io()
    try:
        data = skops.dumps(model.estimator)
    except Exception as error:  # skops raises what it likes: UnsupportedTypeException, TypeError, PicklingError
        raise ModelError(
            f"The model can't be stored as skops: {error} "
            "Take an estimator that can be, or say pickle=True on the model, knowing that whoever can write a pickle can run code where it is loaded."
        ) from error
    untrusted = _untrusted(skops.get_untrusted_types(data=data), trust)
    if untrusted:
        raise ModelError(f"The model holds {_trust_hint(untrusted)}")
    return _normalised(data)


def _untrusted(reported: Sequence[str], trust: Sequence[str]) -> list[str]:
    """What neither skops, headrace nor the user trusts."""
    left = set(reported) - {*TRUSTED, *trust}
    return sorted(left - newer_estimators(left))


def _trust_hint(untrusted: Sequence[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in untrusted)
    return (
        f"types or functions that headrace does not trust: {listed}. They would be imported and called where the model is loaded. "
        f"If they are yours, or you know them, say so on the model: trust=[{listed}]."
    )


def _normalised(data: bytes) -> bytes:
    """The same skops file with ids counted from 1 in order of appearance, fixed times, and padding of zeros."""
    target = BytesIO()
    with ZipFile(BytesIO(data)) as source, ZipFile(target, "w", ZIP_STORED) as out:
        schema = _Numbering()(json.loads(source.read("schema.json")))
        files: dict[str, str] = {}
        _rename_files(schema, files)
        for old, new in files.items():
            out.writestr(ZipInfo(new, _EPOCH), _without_padding(source.read(old)))
        out.writestr(ZipInfo("schema.json", _EPOCH), json.dumps(schema, separators=(",", ":")))
    return target.getvalue()


class _Numbering:
    """Gives the ids of one schema numbers in order of appearance; single values need none."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._next = count(1)

    def __call__(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self(item) for item in node]
        if not isinstance(node, dict):
            return node
        if node.get("__loader__") == "SetNode":
            node = {**node, "content": sorted(node["content"], key=_without_ids)}
        has_id = "__id__" in node and node.get("__loader__") != "JsonNode"
        number = {"__id__": self._number(node["__id__"])} if has_id else {}
        rest = {name: _steady(name, self(value)) for name, value in node.items() if name != "__id__"}
        return {**rest, **number}

    def _number(self, id_: int) -> int:
        if id_ not in self._numbers:
            self._numbers[id_] = next(self._next)
        return self._numbers[id_]


def _steady(name: str, node: Any) -> Any:
    """CountVectorizer keeps `id(self.stop_words)`, which only saves it a check: any other number does too."""
    return {**node, "content": "0"} if name == "_stop_words_id" else node


def _without_ids(node: Any) -> str:
    return json.dumps({name: value for name, value in node.items() if name != "__id__"}, sort_keys=True)


def _rename_files(node: Any, files: dict[str, str]) -> None:
    if isinstance(node, dict):
        name = node.get("file")
        if isinstance(name, str) and "__loader__" in node:
            node["file"] = files.setdefault(name, f"{len(files) + 1}.{name.rpartition('.')[2]}")
        for value in node.values():
            _rename_files(value, files)
    elif isinstance(node, list):
        for value in node:
            _rename_files(value, files)


def _without_padding(data: bytes) -> bytes:
    """A structured array (a tree's nodes) with zeros between its fields, where scikit-learn leaves whatever was in memory."""
    if not data.startswith(b"\x93NUMPY") or b"'descr': [(" not in data[:128]:
        return data
    array = np.load(BytesIO(data), allow_pickle=False)
    clean = np.zeros(array.shape, array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    target = BytesIO()
    np.save(target, clean, allow_pickle=False)
    return target.getvalue()


def _pickled(model: SklearnModel) -> bytes:
    try:
        return pickle.dumps(model.estimator, protocol=5)
    except Exception as error:
        raise ModelError(
            f"The model can't be stored, not even as a pickle: {error}. Define its functions and classes at the top of a module."
        ) from error


# ---------------------------------------------------------------- reading


def _card(folder: Path) -> Mapping[str, Any]:
    try:
        card: dict[str, Any] = json.loads((folder / "model.json").read_bytes())
        written = int(card["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"There is no model card `model.json` in {folder}: {type(error).__name__}: {error}. A model's folder holds model.json and model.skops."
        ) from error
    if written > FORMAT:
        raise NewerFormatError(
            f"The model in {folder} has format {written}, and this headrace knows formats up to {FORMAT}. Upgrade headrace here."
        )
    return card


def _restored(path: Path, card: Mapping[str, Any], trust: Sequence[str]) -> Any:
    skops = skops_io()
    try:
        reported = skops.get_untrusted_types(file=path)
        untrusted = _untrusted(reported, trust)
        if not untrusted:
            return skops.load(path, trusted=[*reported])
    except (BadZipFile, KeyError) as error:
        raise ModelError(f"{path} is not a skops file: {error}. Train the model again, or go back to an older version of it.") from error
    except Exception as error:  # reading runs scikit-learn's own __setstate__, which raises what it likes
        raise ModelError(f"The model file {path} can't be read here: {type(error).__name__}: {error} {_compared(card)}") from error
    raise ModelError(f"The model file {path} holds {_trust_hint(untrusted)}")


def _unpickled(folder: Path, *, is_pickle_allowed: bool) -> Any:
    if not is_pickle_allowed:
        raise ModelError(
            f"The model in {folder} is a pickle, which can run any code when it is loaded. If you know where it is from, say pickle=True on the model."
        )
    return pickle.loads((folder / "model.pkl").read_bytes())  # noqa: S301  # the user's explicit word, and verified by digest


def _compared(card: Mapping[str, Any]) -> str:
    from importlib.metadata import version

    here = {name: version(name) for name in ("scikit-learn", "numpy", "skops")}
    differing = [f"{name} {there} (here {here[name]})" for name, there in card["versions"].items() if name in here and here[name] != there]
    if not differing:
        return "It was written with the versions that are installed here, so the file is damaged or a module that it names is missing."
    return f"It was written with {', '.join(differing)}. Install these versions, or train the model again."
