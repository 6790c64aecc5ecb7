"""What the adapters share: from batches of decode rows to the recorder's requests."""

from __future__ import annotations

import threading
from typing import Any, Dict, Hashable, Tuple

from tierscope_traces.recorder import Recorder


class DecodeRecorder:
    """Turns (request, position of the token that ran, its row) into begin, step and end.

    A token at position p of a request with a prompt of P tokens is decode step p - P. Where an engine
    does not say P, the first decoded token that is seen opens the request, so P is its position.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._open: Dict[Hashable, Tuple[int, int, int]] = {}  # key -> number, prompt, last position
        self._next_number = 0
        self._lock = threading.Lock()

    def row(self, key: Hashable, position: int, entries: Any, prompt_tokens: int = -1) -> int:
        """`entries` is int32 [layers][top_k] of one token. Returns the recorder's status."""
        with self._lock:
            known = self._open.get(key)
            if known is not None and position != known[2] + 1:
                self._end(key)  # the key is another request's now, or was preempted
                known = None
            if known is None:
                prompt = position if prompt_tokens < 0 else prompt_tokens
                known = (self._next_number, prompt, position)
                self._next_number += 1
                self._recorder.begin(known[0], prompt)
            number, prompt, _ = known
            self._open[key] = (number, prompt, position)
        return self._recorder.step(number, position - prompt, entries)

    def end(self, key: Hashable) -> None:
        with self._lock:
            self._end(key)

    def _end(self, key: Hashable) -> None:
        known = self._open.pop(key, None)
        if known is not None:
            self._recorder.end(known[0])
