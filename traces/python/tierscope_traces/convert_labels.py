"""Makes FlashMemory's training dumps (doc_*.pkl) safe: pickled torch tensors into safetensors.

    python3 -m tierscope_traces.convert_labels doc_0.pkl doc_0.safetensors

A pickle is a program. This one runs with an allow-list: plain containers, and the functions that
rebuild a CPU tensor, replaced by stand-ins that only describe it. torch is not needed and not loaded.
Anything else that a pickle names is refused with its name, and nothing of it is called.

Reads what pickle.dump and torch.save write of a dict of tensors (CPU, contiguous). Memory: the file,
twice. Refuses: other globals, sparse, quantised or non-contiguous tensors, tensors outside their
storage, compressed archives.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pickle
import struct
import sys
import zipfile
from typing import Any, Callable, Dict, List, Optional, Tuple

FILE_BYTES_MAX = 64 << 30
TENSORS_MAX = 65536
DIMENSIONS_MAX = 8
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001

# torch's storage classes: dtype in safetensors and bytes of an element.
STORAGES: Dict[str, Tuple[str, int]] = {
    "DoubleStorage": ("F64", 8),
    "FloatStorage": ("F32", 4),
    "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2),
    "LongStorage": ("I64", 8),
    "IntStorage": ("I32", 4),
    "ShortStorage": ("I16", 2),
    "CharStorage": ("I8", 1),
    "ByteStorage": ("U8", 1),
    "BoolStorage": ("BOOL", 1),
}


class ConversionError(ValueError):
    """What is wrong with the file, and what to do."""


class _Allowed:
    """A callable that a pickle may name, and can neither change nor look into."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        object.__setattr__(self, "_call", call)

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise ConversionError("the pickle tries to change a function; refused")

    def __setstate__(self, state: Any) -> None:
        raise ConversionError("the pickle tries to change a function; refused")


@dataclasses.dataclass(frozen=True)
class _StorageType:
    dtype: str
    element_bytes: int


@dataclasses.dataclass(frozen=True)
class _Storage:
    type: _StorageType
    data: memoryview

    def __setstate__(self, state: Any) -> None:
        raise ConversionError("the pickle tries to change a storage; refused")


@dataclasses.dataclass(frozen=True)
class Tensor:
    dtype: str
    shape: Tuple[int, ...]
    data: memoryview

    def __setstate__(self, state: Any) -> None:
        raise ConversionError("the pickle tries to change a tensor; refused")


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """torch._utils._rebuild_tensor_v2, for contiguous tensors."""
    if not isinstance(storage, _Storage) or not isinstance(size, tuple):
        raise ConversionError("a tensor without a storage; dump CPU tensors")
    numbers = (offset, *size, *stride) if isinstance(stride, tuple) else ()
    if len(size) > DIMENSIONS_MAX or len(numbers) != 1 + 2 * len(size) or not all(
            type(n) is int and 0 <= n < 1 << 48 for n in numbers):
        raise ConversionError("a tensor with impossible dimensions; dump again")
    elements, expected = 1, []
    for dimension in reversed(size):
        expected.insert(0, elements)
        elements *= dimension
    if elements > 0 and any(s != e for s, e, d in zip(stride, expected, size) if d > 1):
        raise ConversionError("a tensor that is not contiguous; call .contiguous() before dumping")
    begin = offset * storage.type.element_bytes
    end = begin + elements * storage.type.element_bytes
    if end > len(storage.data):
        raise ConversionError("a tensor that lies outside its storage; dump again")
    return Tensor(storage.type.dtype, size, storage.data[begin:end])


def _storage_from_bytes(data: Any) -> _Storage:
    """torch.storage._load_from_bytes: torch's legacy file format with one storage in it."""
    if not isinstance(data, bytes):
        raise ConversionError("a storage that is no bytes; dump again")
    stream = io.BytesIO(data)
    if _load(stream, None) != _LEGACY_MAGIC or _load(stream, None) != _LEGACY_PROTOCOL:
        raise ConversionError("a storage of an unknown format; dump again with torch 1.6 or later")
    info = _load(stream, None)
    if not isinstance(info, dict) or info.get("little_endian") is not True:
        raise ConversionError("a storage that is not little-endian; dump again on another machine")
    wanted: List[Tuple[_StorageType, str, int]] = []

    def keep(kind: _StorageType, key: str, count: int) -> str:
        wanted.append((kind, key, count))
        return key

    _load(stream, keep)
    keys = _load(stream, None)
    if len(wanted) != 1 or keys != [wanted[0][1]]:
        raise ConversionError("a storage that is no single one; dump tensors one by one")
    kind, _, count = wanted[0]
    at = stream.tell()
    view = memoryview(data)
    if len(view) < at + 8 or struct.unpack("<q", view[at:at + 8])[0] != count:
        raise ConversionError("a storage whose length is wrong; dump again")
    body = view[at + 8:at + 8 + count * kind.element_bytes]
    if len(body) != count * kind.element_bytes:
        raise ConversionError("a storage that is cut; dump or copy it again")
    return _Storage(kind, body)


def _encode(text: Any, encoding: Any = None) -> bytes:
    """How protocol 2 spells bytes: _codecs.encode(text, "latin1")."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ConversionError("bytes in an encoding that pickle does not use; dump again")
    return text.encode("latin1")


_GLOBALS: Dict[Tuple[str, str], Any] = {
    ("_codecs", "encode"): _Allowed(_encode),
    ("torch._utils", "_rebuild_tensor_v2"): _Allowed(_rebuild_tensor),
    ("torch.storage", "_load_from_bytes"): _Allowed(_storage_from_bytes),
    ("collections", "OrderedDict"): _Allowed(lambda: {}),
    **{("torch", name): _StorageType(*kind) for name, kind in STORAGES.items()},
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BufferedIOBase,
                 storage: Optional[Callable[[_StorageType, str, int], Any]]) -> None:
        super().__init__(stream)
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _GLOBALS[module, name]
        except KeyError:
            raise ConversionError(f"the pickle names {module}.{name}, which is no part of a tensor; "
                                  "it may be malicious: refused") from None

    def persistent_load(self, pid: Any) -> Any:
        if (self._storage is None or not isinstance(pid, tuple) or len(pid) < 5
                or pid[0] != "storage" or not isinstance(pid[1], _StorageType)
                or not isinstance(pid[2], str) or type(pid[4]) is not int or pid[4] < 0
                or (len(pid) > 5 and pid[5] is not None)):
            raise ConversionError("the pickle refers to something outside that is no plain storage")
        return self._storage(pid[1], pid[2], pid[4])


def _load(stream: Any, storage: Optional[Callable[[_StorageType, str, int], Any]]) -> Any:
    try:
        return _Unpickler(stream, storage).load()
    except ConversionError:
        raise
    except Exception as error:  # whatever a damaged pickle makes the unpickler raise
        raise ConversionError(f"damaged or cut pickle ({error}); dump or copy it again") from error


def _load_archive(path: str) -> Any:
    """torch.save's archive: archive/data.pkl and a file a storage, none compressed."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {info.filename: info for info in archive.infolist()}
            root = next((n[:-len("data.pkl")] for n in names if n.endswith("/data.pkl")), None)
            if root is None:
                raise ConversionError("an archive that torch.save has not written; dump again")
            if any(info.compress_type != zipfile.ZIP_STORED for info in names.values()):
                raise ConversionError("a compressed archive; torch.save writes none: dump again")
            if root + "byteorder" in names and archive.read(root + "byteorder") != b"little":
                raise ConversionError("an archive that is not little-endian; dump it again")

            def storage(kind: _StorageType, key: str, count: int) -> _Storage:
                if root + "data/" + key not in names:
                    raise ConversionError(f"the archive lacks storage {key}; copy it again")
                data = memoryview(archive.read(root + "data/" + key))
                if len(data) != count * kind.element_bytes:
                    raise ConversionError(f"storage {key} has {len(data)} bytes; copy it again")
                return _Storage(kind, data)

            return _load(io.BytesIO(archive.read(root + "data.pkl")), storage)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise ConversionError(f"damaged archive ({error}); dump or copy it again") from error


def load_tensors(path: str) -> Dict[str, Tensor]:
    """The tensors of a dump by name. Raises ConversionError."""
    size = os.path.getsize(path)
    if size > FILE_BYTES_MAX:
        raise ConversionError(f"{size} bytes; split the dump to {FILE_BYTES_MAX} at most")
    with open(path, "rb") as stream:
        is_archive = stream.read(4) == b"PK\x03\x04"
        stream.seek(0)
        loaded = _load_archive(path) if is_archive else _load(io.BytesIO(stream.read()), None)
    if not isinstance(loaded, dict) or len(loaded) > TENSORS_MAX:
        raise ConversionError(f"holds {type(loaded).__name__}, expected a dict of tensors")
    tensors = {}
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, (Tensor, int, float, str, type(None))):
            raise ConversionError(f"entry {name!r} is no tensor; dump a flat dict of tensors")
        if isinstance(value, Tensor):
            tensors[name] = value
    if not tensors:
        raise ConversionError("holds no tensor")
    return tensors


def write_safetensors(tensors: Dict[str, Tensor], path: str) -> None:
    """Writes to a temporary name and renames."""
    header: Dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape),
                        "data_offsets": [at, at + len(tensor.data)]}
        at += len(tensor.data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    partial = f"{path}.partial-{os.getpid()}"
    try:
        with open(partial, "xb") as stream:
            stream.write(struct.pack("<Q", len(text)) + text)
            for tensor in tensors.values():
                stream.write(tensor.data)
        os.replace(partial, path)
    except BaseException:
        if os.path.exists(partial):
            os.remove(partial)
        raise


def main(arguments: List[str]) -> int:
    if len(arguments) != 2:
        print("usage: python3 -m tierscope_traces.convert_labels DUMP.pkl OUT.safetensors",
              file=sys.stderr)
        return 2
    source, target = arguments
    try:
        if os.path.exists(target):
            raise ConversionError(f"{target} exists; name another file")
        write_safetensors(load_tensors(source), target)
    except (ConversionError, OSError) as error:
        print(f"convert_labels: {source}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
