"""The ctypes module and the adapters, driven by stand-in engine loops: no engine runs here."""

import array
import json
import os
import random
import subprocess
import tempfile
import unittest

from tierscope_traces import recorder as recording
from tierscope_traces.adapters import sglang, vllm
from tierscope_traces.recorder import Form, Recorder, RecorderError

LAYERS, TOP_K, STRIDE = 2, 4, 4
FORM = Form(tokens_per_entry=1, layer_count=LAYERS, top_k=TOP_K, tick_stride_steps=STRIDE,
            tool="a stand-in engine loop")


def rows_of(request, position):
    """[layers][top_k] of one token, the same whenever it is asked for."""
    rng = random.Random(request * 10007 + position)
    return [rng.sample(range(position + 1), TOP_K) for _ in range(LAYERS)]


def flat(rows):
    return array.array("i", [entry for row in rows for entry in row])


class HostTensor:
    """Stands in for the torch tensors that the adapters touch: int32 [tokens][layers][top_k]."""

    def __init__(self, tokens):
        self.tokens = tokens

    def cpu(self):
        return self

    def contiguous(self):
        return self

    def __getitem__(self, index):
        if isinstance(index, tuple):
            tokens, layers, columns = index
            assert layers == slice(None)
            return HostTensor([[row[columns] for row in token] for token in self.tokens[tokens]])
        if isinstance(index, slice):
            return HostTensor(self.tokens[index])
        return flat(self.tokens[index])


class List:
    def __init__(self, values):
        self.values = values

    def tolist(self):
        return list(self.values)


class RecorderCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def selections(self, path):
        """Of the joined recording: [profile] -> (prompt_tokens, [step][layer] sorted entries)."""
        binary = os.environ["TIERSCOPE_BINARY"]
        joined = self.path("joined.trace")
        subprocess.run([binary, "trace", "import", path, "--out", joined, "--overwrite"], check=True,
                       capture_output=True)
        text = subprocess.run([binary, "trace", "cat", "--format", "json", joined], check=True,
                              capture_output=True, text=True).stdout
        profiles = []
        for line in text.splitlines():
            record = json.loads(line)
            if "profile" in record:
                profiles.append((int(record["profile"]["prompt_tokens"]), []))
            elif "selection" in record:
                selection = record["selection"]
                steps = profiles[-1][1]
                if selection.get("layer", 0) == 0:
                    steps.append([])
                entry, entries = 0, []
                for delta in selection["entry_delta"]:
                    entry += delta
                    entries.append(entry)
                steps[-1].append(entries)
        return profiles

    def expected(self, request, first_position, steps):
        return [[sorted(row) for row in rows_of(request, first_position + step)]
                for step in range(steps + 1)]


class RecorderTest(RecorderCase):
    def test_records_steps(self):
        with Recorder(self.path("r.trace"), FORM) as recorder:
            self.assertEqual(recorder.begin(1, 50), recording.OK)
            for step in range(9):
                self.assertEqual(recorder.step(1, step, flat(rows_of(1, 50 + step))), recording.OK)
            self.assertEqual(recorder.step(1, 3, flat(rows_of(1, 53))), recording.REFUSED)
            self.assertIn("steps must rise", recorder.error())
            recorder.end(1)
        self.assertEqual(self.selections(self.path("r.trace")), [(50, self.expected(1, 50, 8))])

    def test_read_only_and_logits(self):
        with Recorder(self.path("r.trace"), FORM) as recorder:
            recorder.begin(1, 50)
            for step in range(5):
                entries = memoryview(flat(rows_of(1, 50 + step)).tobytes()).cast("i")
                logits = array.array("f", [0.5] * (LAYERS * TOP_K))
                self.assertEqual(recorder.step(1, step, entries, logits), recording.OK)
        self.assertEqual(self.selections(self.path("r.trace")), [(50, self.expected(1, 50, 4))])

    def test_scores(self):
        form = Form(tokens_per_entry=1, layer_count=LAYERS, top_k=TOP_K, tick_stride_steps=STRIDE,
                    target_layers=(1,), score_floor_code=0)
        with Recorder(self.path("r.trace"), form) as recorder:
            recorder.begin(1, 50)
            for step in range(5):
                recorder.step(1, step, flat(rows_of(1, 50 + step)))
                if step % STRIDE == 0:
                    self.assertEqual(recorder.tick(1, step, 1, array.array("I", [3, 9]),
                                                   bytearray([200, 7])), recording.OK)
        self.assertEqual(len(self.selections(self.path("r.trace"))), 1)

    def test_wrong_buffers(self):
        with Recorder(self.path("r.trace"), FORM) as recorder:
            recorder.begin(1, 50)
            for wrong in (array.array("i", [1, 2]), array.array("q", [1] * 8),
                          array.array("f", [1.0] * 8), memoryview(flat(rows_of(1, 50)))[::2]):
                with self.assertRaises(ValueError):
                    recorder.step(1, 0, wrong)
            for step in range(5):
                recorder.step(1, step, flat(rows_of(1, 50 + step)))

    def test_open_says_what_is_wrong(self):
        with self.assertRaisesRegex(RecorderError, "no/such"):
            Recorder("/no/such/folder/r.trace", FORM)


class SglangStandIn:
    """A stand-in for SGLang's model runner and capturer: the same fields and the same calls."""

    class Mode:
        def __init__(self, decode):
            self.decode = decode

        def is_decode(self):
            return self.decode

    class Batch:
        def __init__(self, slots, lengths, decode):
            self.req_pool_indices, self.seq_lens = List(slots), List(lengths)
            self.forward_mode = SglangStandIn.Mode(decode)

    class Capturer:
        class DeviceCache:
            buffer = HostTensor([])

        def __init__(self):
            self.device_cache = self.DeviceCache()
            self.calls = 0

        def on_forward_end(self, forward_batch, can_run_graph, cuda_graph_batch,
                           no_copy_to_cpu=False):
            self.calls += 1
            return "the engine's own result"


class AdapterTest(RecorderCase):
    def test_sglang(self):
        capturer = SglangStandIn.Capturer()
        with Recorder(self.path("r.trace"), FORM) as recorder:
            sglang.record(capturer, recorder)

            def forward(decode, rows):  # rows: (slot, request, length with the token that ran)
                capturer.device_cache.buffer = HostTensor(
                    [[row + [-7] for row in rows_of(request, length - 1)]
                     for _, request, length in rows])  # a column more than top_k, as with padding
                batch = SglangStandIn.Batch([s for s, _, _ in rows], [n for _, _, n in rows], decode)
                return capturer.on_forward_end(batch, True, None)

            self.assertEqual(forward(False, [(3, 1, 60)]), "the engine's own result")
            for step in range(5):
                rows = [(3, 1, 61 + step)]
                if step >= 0:
                    rows.append((8, 2, 41 + step))
                forward(True, rows)
            # Slot 3 goes to another request.
            for step in range(9):
                forward(True, [(3, 5, 31 + step)])
            self.assertEqual(capturer.calls, 15)
        self.assertEqual(self.selections(self.path("r.trace")),
                         [(60, self.expected(1, 60, 4)), (40, self.expected(2, 40, 4)),
                          (30, self.expected(5, 30, 8))])

    def test_vllm(self):
        """A stand-in for vLLM's scheduler loop: chunked prefill beside decoding, then an end."""
        with Recorder(self.path("r.trace"), FORM) as recorder:
            adapter = vllm.VllmRecorder(recorder)
            number = {"a": 1, "b": 2}
            prompt = {"a": 20, "b": 30}
            done = {"a": 0, "b": 0}
            for turn in range(16):
                scheduled = {}
                for name in ("a", "b"):
                    if name == "b" and turn < 3:
                        continue
                    left = prompt[name] - done[name]
                    scheduled[name] = min(left, 12) if left > 0 else 1
                names = list(scheduled)
                rows = [rows_of(number[n], done[n] + i) if done[n] + i >= 8 else [[0] * 4] * LAYERS
                        for n in names for i in range(scheduled[n])]
                adapter.after_step(names, [done[n] for n in names], scheduled,
                                   [prompt[n] for n in names], HostTensor(rows + [[[9] * 4] * 2]))
                for name in names:
                    done[name] += scheduled[name]
            adapter.finished("a")
            adapter.finished("b")
            adapter.finished("unknown")
        self.assertEqual(self.selections(self.path("r.trace")),
                         [(20, self.expected(1, 20, 12)), (30, self.expected(2, 30, 8))])


if __name__ == "__main__":
    unittest.main()
