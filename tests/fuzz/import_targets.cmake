# Fuzz targets of the importers: tests/fuzz/<name>_fuzz.cc, corpus in tests/fuzz/corpus/<name>.
set(TIERSCOPE_IMPORT_FUZZ_TARGETS import_npy import_safetensors import_recording import_jsonl)
set(TIERSCOPE_IMPORT_FUZZ_DEPS tierscope::trace_import tierscope::demand)
