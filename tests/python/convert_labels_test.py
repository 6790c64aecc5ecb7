"""The converter against pickles as torch writes them, and against malicious and damaged ones."""

import array
import collections
import contextlib
import importlib.util
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import types
import unittest
import zipfile

from tierscope_traces import convert_labels
from tierscope_traces.convert_labels import ConversionError, load_tensors, write_safetensors

HAS_TORCH = importlib.util.find_spec("torch") is not None


def make_fake_torch():
    """Modules whose classes pickle under torch's names; torch itself is not needed."""
    torch = types.ModuleType("torch")
    utils = types.ModuleType("torch._utils")
    storage = types.ModuleType("torch.storage")
    for name in convert_labels.STORAGES:
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def rebuild(*_):
        raise AssertionError("the real function must not be called")

    def load_from_bytes(_):
        raise AssertionError("the real function must not be called")

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    load_from_bytes.__module__, load_from_bytes.__qualname__ = "torch.storage", "_load_from_bytes"
    utils._rebuild_tensor_v2 = rebuild
    storage._load_from_bytes = load_from_bytes
    return {"torch": torch, "torch._utils": utils, "torch.storage": storage}


FAKE = make_fake_torch()


@contextlib.contextmanager
def fake_torch():
    saved = {name: sys.modules.get(name) for name in FAKE}
    sys.modules.update(FAKE)
    try:
        yield
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


class InnerStorage:
    """What torch's file formats refer to by a persistent id."""

    def __init__(self, kind, data):
        self.kind, self.data = kind, data
        self.count = len(data) // convert_labels.STORAGES[kind][1]


class LegacyPickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, InnerStorage):
            return ("storage", getattr(FAKE["torch"], obj.kind), "0", "cpu", obj.count, None)
        return None


def legacy_bytes(inner, count=None):
    stream = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001,
                  {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}):
        pickle.dump(value, stream, 2)
    with fake_torch():
        LegacyPickler(stream, 2).dump(inner)
    pickle.dump(["0"], stream, 2)
    stream.write(struct.pack("<q", inner.count if count is None else count) + inner.data)
    return stream.getvalue()


class Storage:
    def __init__(self, kind, data, count=None):
        self.bytes = legacy_bytes(InnerStorage(kind, data), count)

    def __reduce__(self):
        return FAKE["torch.storage"]._load_from_bytes, (self.bytes,)


class FakeTensor:
    def __init__(self, kind, data, shape, stride=None, offset=0, count=None):
        if stride is None:
            stride, step = [], 1
            for dimension in reversed(shape):
                stride.insert(0, step)
                step *= dimension
        self.arguments = (Storage(kind, data, count), offset, tuple(shape), tuple(stride), False,
                          collections.OrderedDict())

    def __reduce__(self):
        return FAKE["torch._utils"]._rebuild_tensor_v2, self.arguments


def dumps(value, protocol=4):
    with fake_torch():
        return pickle.dumps(value, protocol)


def sample():
    return {
        "label_pointers": FakeTensor("LongStorage", array.array("q", [0, 2, 3]).tobytes(), (3,)),
        "label_indices": FakeTensor("IntStorage", array.array("i", [4, 9, 11]).tobytes(), (3,)),
        "compk_layer_10": FakeTensor("ByteStorage", bytes(range(12)), (3, 4)),
        "hidden_layer_10": FakeTensor("BFloat16Storage", bytes(range(8)), (2, 2)),
        "doc": "a name",
    }


class Calls:
    """A pickle that runs a command when it is loaded by pickle.load."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


class ConvertTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, data, name="doc_0.pkl"):
        with open(self.path(name), "wb") as stream:
            stream.write(data)
        return self.path(name)

    def read_safetensors(self, path):
        with open(path, "rb") as stream:
            data = stream.read()
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + length])
        header.pop("__metadata__")
        return {name: (t["dtype"], t["shape"], data[8 + length:][slice(*t["data_offsets"])])
                for name, t in header.items()}

    def refused(self, value, what):
        data = value if isinstance(value, bytes) else dumps(value)
        with self.assertRaisesRegex(ConversionError, what):
            load_tensors(self.write(data))

    def test_tensors_arrive(self):
        for protocol in (2, 3, 4, 5):
            source = self.write(dumps(sample(), protocol))
            write_safetensors(load_tensors(source), self.path(f"{protocol}.safetensors"))
            self.assertEqual(self.read_safetensors(self.path(f"{protocol}.safetensors")), {
                "label_pointers": ("I64", [3], array.array("q", [0, 2, 3]).tobytes()),
                "label_indices": ("I32", [3], array.array("i", [4, 9, 11]).tobytes()),
                "compk_layer_10": ("U8", [3, 4], bytes(range(12))),
                "hidden_layer_10": ("BF16", [2, 2], bytes(range(8))),
            })

    def test_view_of_a_storage(self):
        tensor = FakeTensor("ByteStorage", bytes(range(10)), (2, 3), offset=4)
        self.assertEqual(bytes(load_tensors(self.write(dumps({"a": tensor})))["a"].data),
                         bytes(range(4, 10)))

    def test_archive_of_torch_save(self):
        inner = InnerStorage("LongStorage", array.array("q", [7, 8]).tobytes())

        class Archived:
            def __reduce__(self):
                return (FAKE["torch._utils"]._rebuild_tensor_v2,
                        (inner, 0, (2,), (1,), False, collections.OrderedDict()))

        def archive(compression=zipfile.ZIP_STORED, data=inner.data):
            stream = io.BytesIO()
            with fake_torch():
                LegacyPickler(stream, 2).dump({"a": Archived()})
            with zipfile.ZipFile(self.path("a.pkl"), "w", compression) as out:
                out.writestr("archive/data.pkl", stream.getvalue())
                out.writestr("archive/data/0", data)
            return self.path("a.pkl")

        self.assertEqual(bytes(load_tensors(archive())["a"].data), inner.data)
        with self.assertRaisesRegex(ConversionError, "compressed"):
            load_tensors(archive(zipfile.ZIP_DEFLATED))
        with self.assertRaisesRegex(ConversionError, "has 8 bytes"):
            load_tensors(archive(data=inner.data[:8]))

    def test_malicious_pickles_are_refused_and_not_run(self):
        marker = self.path("owned")
        for value in (Calls(marker), {"a": Calls(marker)}, {"a": [Calls(marker)]}):
            for protocol in range(6):
                self.refused(pickle.dumps(value, protocol), "posix.system|os.system|nt.system")
        # Inside the bytes of a storage, where torch itself would load them.
        tensor = FakeTensor("ByteStorage", b"1234", (4,))
        tensor.arguments[0].bytes = pickle.dumps(Calls(marker))
        self.refused({"a": tensor}, "posix.system")
        for name in (b"builtins\neval\n", b"builtins\ngetattr\n", b"torch\nload\n",
                     b"torch._utils\n_rebuild_parameter\n", b"collections\nOrderedDict.__init__\n",
                     b"tierscope_traces.convert_labels\nos\n"):
            self.refused(b"c" + name + b"(S'1'\ntR.", "names")
        self.assertFalse(os.path.exists(marker))
        # The same file does run under plain pickle: the test would notice a marker.
        pickle.loads(pickle.dumps(Calls(marker)))
        self.assertTrue(os.path.exists(marker))

    def test_allowed_functions_cannot_be_changed(self):
        for state in (b"}S'__code__'\nI1\ns", b"(N}S'__defaults__'\n(I1\ntst"):
            self.refused(b"ctorch._utils\n_rebuild_tensor_v2\n" + state + b"b.", "change a function")

    def test_wrong_tensors(self):
        self.refused({"a": FakeTensor("ByteStorage", b"1234", (5,))}, "outside its storage")
        self.refused({"a": FakeTensor("ByteStorage", b"1234", (4,), offset=1)}, "outside")
        self.refused({"a": FakeTensor("ByteStorage", b"1234", (2, 2), stride=(1, 2))}, "contiguous")
        self.refused({"a": FakeTensor("ByteStorage", b"1234", (2, 2), stride=(0, 0))}, "contiguous")
        self.refused({"a": FakeTensor("ByteStorage", b"1234", (-4,))}, "impossible")
        self.refused({"a": FakeTensor("ByteStorage", b"1234", (4,), count=9)}, "length is wrong")
        self.refused({"a": FakeTensor("LongStorage", b"1234", (0,))} | {"b": [1]}, "no tensor")
        self.refused(pickle.dumps([1, 2]), "expected a dict")
        self.refused(pickle.dumps({"a": 1}), "holds no tensor")
        self.refused(b"", "damaged or cut")

    def test_cut_anywhere(self):
        data = dumps(sample())
        for length in range(0, len(data) - 1):
            with self.assertRaises(ConversionError):
                load_tensors(self.write(data[:length]))

    def test_command_line(self):
        source = self.write(dumps(sample()))
        command = [sys.executable, "-m", "tierscope_traces.convert_labels", source,
                   self.path("out.safetensors")]
        self.assertEqual(subprocess.run(command, check=False).returncode, 0)
        again = subprocess.run(command, check=False, capture_output=True, text=True)
        self.assertEqual(again.returncode, 2)
        self.assertIn("exists", again.stderr)
        self.assertEqual(again.stderr.count("\n"), 1)

    def test_imported_by_tierscope(self):
        binary = os.environ.get("TIERSCOPE_BINARY")
        if not binary:
            self.skipTest("TIERSCOPE_BINARY names no tierscope")
        q = lambda values: array.array("q", values).tobytes()
        dump = {
            "label_pointers": FakeTensor("LongStorage", q([0, 1, 3]), (3,)),
            "label_indices": FakeTensor("LongStorage", q([5, 6, 40]), (3,)),
            "label_scores": FakeTensor("LongStorage", q([3, 4, 21]), (3,)),
            "positions_layer_10": FakeTensor("LongStorage", q([100, 164]), (2,)),
        }
        source = self.write(dumps(dump))
        refusal = subprocess.run([binary, "trace", "import", source, "--out", self.path("x.trace")],
                                 check=False, capture_output=True, text=True)
        self.assertEqual(refusal.returncode, 2)
        self.assertIn("convert_labels", refusal.stderr)
        write_safetensors(load_tensors(source), self.path("d.safetensors"))
        done = subprocess.run([binary, "trace", "import", self.path("d.safetensors"), "--out",
                               self.path("x.trace")], check=False, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("label dump, 1 profiles, 3 records", done.stderr)


@unittest.skipUnless(HAS_TORCH, "python3-torch is not installed")
class RealTorchTest(ConvertTest):
    """What torch itself writes."""

    def tensors(self):
        import torch
        return {
            "label_indices": torch.arange(6, dtype=torch.int64),
            "label_scores": torch.tensor([1.0, 2.5]),
            "compk_layer_10": torch.arange(24, dtype=torch.uint8).reshape(2, 12),
            "hidden_layer_10": torch.arange(6, dtype=torch.float32).to(torch.bfloat16).reshape(2, 3),
            "flags": torch.tensor([True, False]),
            "view": torch.arange(10, dtype=torch.int32)[3:7],
            "empty": torch.zeros((0, 4), dtype=torch.int16),
        }

    def expect_same(self, path):
        import torch
        loaded = load_tensors(path)
        for name, tensor in self.tensors().items():
            raw = tensor.contiguous().view(-1)
            data = bytes(raw.view(torch.uint8).tolist()) if raw.numel() and raw.dtype != torch.bool \
                else bytes(int(v) for v in raw.tolist())
            self.assertEqual(bytes(loaded[name].data), data, name)
            self.assertEqual(loaded[name].shape, tuple(tensor.shape), name)

    def test_pickle_dump(self):
        for protocol in (2, 4):
            with open(self.path("t.pkl"), "wb") as stream:
                pickle.dump(self.tensors(), stream, protocol)
            self.expect_same(self.path("t.pkl"))

    def test_torch_save(self):
        import torch
        torch.save(self.tensors(), self.path("t.pkl"))
        self.expect_same(self.path("t.pkl"))

    def test_parameters_are_refused(self):
        import torch
        self.refused(pickle.dumps({"a": torch.nn.Parameter(torch.zeros(2))}), "_rebuild_parameter")


if __name__ == "__main__":
    unittest.main()
