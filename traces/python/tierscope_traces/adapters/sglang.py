"""Example: SGLang, from its indexer top-k capturer.

Read from sgl-project/sglang
  python/sglang/srt/state_capturer/indexer_topk.py  IndexerTopkCapturer, get_global_indexer_capturer,
                                                    at commit 02d3f4b2
  python/sglang/srt/state_capturer/base.py          BaseTopkCapturer.on_forward_end, device_cache,
                                                    at commit 0564b521
(pull requests 24392 and 26684: the entries are positions within the request, not cache slots). Not run
against an engine here: tests/python/adapters_test.py runs it against a stand-in with the same fields.

What to call where. The server starts with --enable-return-indexer-topk (CUDA, DP attention), so that
the model runner makes a capturer. Then, once, in the worker process after the model runner is up:

    from sglang.srt.state_capturer.indexer_topk import get_global_indexer_capturer
    from tierscope_traces.adapters.sglang import record
    record(get_global_indexer_capturer(), Recorder("run.trace", form))

`record` wraps on_forward_end, which the model runner calls behind every forward. Of a decode batch it
copies the rows to the host, synchronising as the engine's own path without overlap does: recording
costs throughput on a busy server. Responses may leave the capture out; nothing is asked of clients.
"""

from __future__ import annotations

from typing import Any, Optional, Protocol, Sequence

from tierscope_traces.adapters.decode import DecodeRecorder
from tierscope_traces.recorder import Recorder


class Tensor(Protocol):
    """The few methods of torch.Tensor that are used."""

    def cpu(self) -> "Tensor": ...
    def contiguous(self) -> "Tensor": ...
    def tolist(self) -> list[int]: ...
    def __getitem__(self, index: Any) -> "Tensor": ...


class ForwardMode(Protocol):
    def is_decode(self) -> bool: ...


class ForwardBatch(Protocol):
    """Fields of sglang.srt.model_executor.forward_batch_info.ForwardBatch."""

    forward_mode: ForwardMode
    req_pool_indices: Tensor  # [batch] slot of each request
    seq_lens: Tensor          # [batch] tokens, the one that ran included


class DeviceCache(Protocol):
    buffer: Tensor  # int32 [tokens, layers, top_k]


class Capturer(Protocol):
    device_cache: DeviceCache

    def on_forward_end(self, forward_batch: ForwardBatch, can_run_graph: bool,
                       cuda_graph_batch: Optional[int], no_copy_to_cpu: bool = False) -> Any: ...


def record(capturer: Capturer, recorder: Recorder) -> DecodeRecorder:
    """From now on every decode step that the capturer sees is recorded."""
    requests = DecodeRecorder(recorder)
    top_k = recorder.form.top_k
    on_forward_end = capturer.on_forward_end

    def on_forward_end_recorded(forward_batch: ForwardBatch, can_run_graph: bool,
                                cuda_graph_batch: Optional[int],
                                no_copy_to_cpu: bool = False) -> Any:
        result = on_forward_end(forward_batch, can_run_graph, cuda_graph_batch, no_copy_to_cpu)
        if forward_batch.forward_mode.is_decode():
            slots: Sequence[int] = forward_batch.req_pool_indices.tolist()
            lengths: Sequence[int] = forward_batch.seq_lens.tolist()
            rows = capturer.device_cache.buffer[: len(slots), :, :top_k].cpu().contiguous()
            for i, (slot, length) in enumerate(zip(slots, lengths)):
                requests.row(slot, length - 1, rows[i])
        return result

    capturer.on_forward_end = on_forward_end_recorded  # type: ignore[method-assign]
    return requests
