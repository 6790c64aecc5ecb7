"""Example: vLLM, from the indexer top-k capturer of pull request 49555 (open in August 2026).

Read from the pull request's worker-side IndexerTopkCapturer (get_device_buffer: int32 [tokens, layers,
top_k], rows in the order of the step's tokens). Not run against an engine here:
tests/python/adapters_test.py runs it against a stand-in with the same fields.

What to call where. The server starts with --enable-return-indexer-topk. In GPUModelRunner, behind the
forward of a step and before its capturer begins the next one:

    self.tierscope.after_step(
        request_ids=self.input_batch.req_ids,
        computed_tokens=self.input_batch.num_computed_tokens_cpu,   # before this step
        scheduled_tokens=scheduler_output.num_scheduled_tokens,     # by request id
        prompt_tokens=self.input_batch.num_prompt_tokens,
        rows=self.indexer_topk_capturer.get_device_buffer())
    for request_id in scheduler_output.finished_req_ids:
        self.tierscope.finished(request_id)

Rows of prompt tokens (chunked prefill) are left out. Rows of drafted tokens that were rejected run
again at the same position and open another profile: record without speculative decoding.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from tierscope_traces.adapters.decode import DecodeRecorder
from tierscope_traces.recorder import Recorder


class VllmRecorder:
    def __init__(self, recorder: Recorder) -> None:
        self._requests = DecodeRecorder(recorder)

    def after_step(self, request_ids: Sequence[str], computed_tokens: Sequence[int],
                   scheduled_tokens: Mapping[str, int], prompt_tokens: Sequence[int],
                   rows: Any) -> None:
        """`rows` is a tensor on any device, a row a scheduled token, requests in order."""
        total = sum(scheduled_tokens.get(request, 0) for request in request_ids)
        host = rows[:total].cpu().contiguous()
        at = 0
        for i, request in enumerate(request_ids):
            count = scheduled_tokens.get(request, 0)
            prompt = int(prompt_tokens[i])
            for offset in range(count):
                position = int(computed_tokens[i]) + offset
                if position >= prompt:
                    self._requests.row(request, position, host[at + offset], prompt)
            at += count

    def finished(self, request: str) -> None:
        self._requests.end(request)
