"""traces/recorder.h through ctypes. The header says what each call means; here are its types.

    with Recorder("run.trace", Form(tokens_per_entry=4, layer_count=21, top_k=512,
                                    tick_stride_steps=64, tool="myengine 1.0")) as recorder:
        recorder.begin(request=7, prompt_tokens=131072)
        recorder.step(7, step=0, entries=rows)   # int32 [layers][top_k], -1 behind the used slots
        recorder.end(7)

`entries` may be anything with int32 in one contiguous block of host memory: a torch CPU tensor, a
numpy array, array.array("i"), a ctypes array. A call copies and returns; ctypes lets go of the global
lock while it runs.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
from typing import Any, Optional, Sequence

OK, DROPPED, REFUSED, FAILED = range(4)
_VERSION = 1
_ERROR_BYTES = 1024


class RecorderError(RuntimeError):
    """The recorder could not be opened, or the disk failed."""


@dataclasses.dataclass(frozen=True)
class Form:
    """What every request of a recording has in common; see struct tierscope_recorder_options."""

    tokens_per_entry: int
    layer_count: int
    top_k: int
    tick_stride_steps: int
    segment_steps: int = 0
    saw_full_history: bool = True
    score_floor_code: int = -1
    target_layers: Sequence[int] = ()
    memory_bytes_max: int = 0
    model: str = "unknown"
    tool: str = "unknown engine"


@dataclasses.dataclass(frozen=True)
class Counts:
    recorded_steps: int
    dropped_steps: int
    refused_steps: int
    written_bytes: int


class _Options(ctypes.Structure):
    _fields_ = [
        ("version", ctypes.c_uint32),
        ("tokens_per_entry", ctypes.c_int32),
        ("layer_count", ctypes.c_int32),
        ("top_k", ctypes.c_int32),
        ("tick_stride_steps", ctypes.c_int32),
        ("segment_steps", ctypes.c_int32),
        ("saw_full_history", ctypes.c_int32),
        ("score_floor_code", ctypes.c_int32),
        ("target_layers", ctypes.POINTER(ctypes.c_int32)),
        ("target_layer_count", ctypes.c_int32),
        ("memory_bytes_max", ctypes.c_uint64),
        ("model", ctypes.c_char_p),
        ("tool", ctypes.c_char_p),
    ]


class _Counts(ctypes.Structure):
    _fields_ = [(field.name, ctypes.c_int64) for field in dataclasses.fields(Counts)]


def _load(path: Optional[str]) -> ctypes.CDLL:
    name = path or os.environ.get("TIERSCOPE_RECORDER_LIBRARY") or "libtierscope_recorder.so.1"
    library = ctypes.CDLL(name)
    pointer, size, i32, i64, u64 = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int32,
                                    ctypes.c_int64, ctypes.c_uint64)
    signatures = {
        "open": ([ctypes.c_char_p, ctypes.POINTER(_Options), ctypes.c_char_p, size], pointer),
        "begin": ([pointer, u64, i64], ctypes.c_int),
        "step": ([pointer, u64, i32, pointer, pointer], ctypes.c_int),
        "tick": ([pointer, u64, i32, i32, pointer, pointer, i32], ctypes.c_int),
        "end": ([pointer, u64], ctypes.c_int),
        "get_counts": ([pointer, ctypes.POINTER(_Counts)], None),
        "error": ([pointer], ctypes.c_char_p),
        "close": ([pointer, ctypes.c_char_p, size], ctypes.c_int),
    }
    for function, (arguments, result) in signatures.items():
        symbol = getattr(library, "tierscope_recorder_" + function)
        symbol.argtypes = arguments
        symbol.restype = result
    return library


def _address(values: Any, count: int, formats: str, what: str) -> tuple[int, Any]:
    """Where `count` values of one type lie, and what must stay alive while they are used."""
    if hasattr(values, "data_ptr"):  # torch
        if values.device.type != "cpu" or not values.is_contiguous():
            raise ValueError(f"{what}: give a contiguous CPU tensor")
        if values.element_size() != 4 and formats != "B" or values.numel() != count:
            raise ValueError(f"{what}: {values.numel()} values of {values.dtype}, expected {count}")
        return values.data_ptr(), values
    view = memoryview(values)
    element = view.format.lstrip("<=@")
    if not view.c_contiguous or element not in formats or view.nbytes != count * view.itemsize:
        raise ValueError(f"{what}: {view.nbytes} bytes of format {view.format!r}, expected {count} "
                         f"contiguous values of {formats!r}")
    flat = view.cast("B")
    if not flat.readonly:
        return ctypes.addressof((ctypes.c_char * flat.nbytes).from_buffer(flat)), flat
    copy = ctypes.create_string_buffer(flat.tobytes(), max(flat.nbytes, 1))
    return ctypes.addressof(copy), copy


class Recorder:
    """One recording. Safe to use from several threads; steps of a request come in order."""

    def __init__(self, path: str, form: Form, library: Optional[str] = None) -> None:
        self._library = _load(library)
        self._form = form
        self._slots = form.layer_count * form.top_k
        targets = (ctypes.c_int32 * len(form.target_layers))(*form.target_layers)
        options = _Options(_VERSION, form.tokens_per_entry, form.layer_count, form.top_k,
                           form.tick_stride_steps, form.segment_steps,
                           int(form.saw_full_history), form.score_floor_code, targets,
                           len(form.target_layers), form.memory_bytes_max, form.model.encode(),
                           form.tool.encode())
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        self._handle = self._library.tierscope_recorder_open(os.fsencode(path),
                                                             ctypes.byref(options), error,
                                                             _ERROR_BYTES)
        if not self._handle:
            raise RecorderError(error.value.decode(errors="replace"))

    @property
    def form(self) -> Form:
        return self._form

    def begin(self, request: int, prompt_tokens: int) -> int:
        return self._library.tierscope_recorder_begin(self._handle, request, prompt_tokens)

    def step(self, request: int, step: int, entries: Any, logits: Any = None) -> int:
        """Returns OK, DROPPED, REFUSED or FAILED; an engine's loop goes on whatever it is."""
        address, alive = _address(entries, self._slots, "il", "entries")
        logits_address, logits_alive = (None, None)
        if logits is not None:
            logits_address, logits_alive = _address(logits, self._slots, "f", "logits")
        status = self._library.tierscope_recorder_step(self._handle, request, step, address,
                                                       logits_address)
        del alive, logits_alive
        return status

    def tick(self, request: int, step: int, target_layer: int, entries: Any, codes: Any) -> int:
        count = len(codes)
        address, alive = _address(entries, count, "IL", "scored entries")
        codes_address, codes_alive = _address(codes, count, "B", "codes")
        status = self._library.tierscope_recorder_tick(self._handle, request, step, target_layer,
                                                       address, codes_address, count)
        del alive, codes_alive
        return status

    def end(self, request: int) -> int:
        return self._library.tierscope_recorder_end(self._handle, request)

    def counts(self) -> Counts:
        counts = _Counts()
        self._library.tierscope_recorder_get_counts(self._handle, ctypes.byref(counts))
        return Counts(*(getattr(counts, field.name) for field in dataclasses.fields(Counts)))

    def error(self) -> str:
        return self._library.tierscope_recorder_error(self._handle).decode(errors="replace")

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is None:
            return
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        if self._library.tierscope_recorder_close(handle, error, _ERROR_BYTES) != OK:
            raise RecorderError(error.value.decode(errors="replace"))

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
