# The sources of this folder, for the project, for its tests under the SIMT machine and for the project of
# its own in kernels/standalone. Paths from the root of the repository.
set(TIERSCOPE_KERNEL_HOST_SOURCES
  kernels/attention_check.cc kernels/attention_ref.cc
  kernels/gather_check.cc kernels/gather_ref.cc
  kernels/index_score_check.cc kernels/index_score_ref.cc
  kernels/page_copy_build.cc
  kernels/page_select_check.cc kernels/page_select_ref.cc
  kernels/top_entries_check.cc kernels/top_entries_ref.cc)
set(TIERSCOPE_KERNEL_CUDA_SOURCES
  kernels/attention.cu kernels/attention_hopper.cu kernels/device_memory.cu kernels/gather.cu kernels/index_score.cu
  kernels/index_score_hopper.cu
  kernels/page_copy.cu kernels/page_select.cu kernels/top_entries.cu)
# Cases of every kernel against its reference; they need no test library.
set(TIERSCOPE_KERNEL_CASE_SOURCES
  tests/kernels/attention_case.cc tests/kernels/index_score_case.cc tests/kernels/kernel_case.cc
  tests/kernels/page_select_case.cc tests/kernels/recall_case.cc tests/kernels/top_entries_case.cc)
set(TIERSCOPE_KERNEL_BENCH_SOURCES kernels/bench/bench_cases.cc kernels/bench/bench_main.cc)
