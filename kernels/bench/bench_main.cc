// kernel_bench [--quick] OUT.json: times every kernel on device 0 and prints a table.
#include <cstdio>
#include <cstring>

#include "kernels/bench/bench_cases.h"
#include "kernels/device_memory.h"

namespace tierscope::bench {
namespace {

int Fail(const KernelStatus& status) {
  std::fprintf(stderr, "kernel_bench: %s\n", status.message);
  return status.code == KernelCode::kUnsupportedDevice ? 77 : 1;
}

void WriteHead(std::FILE* out, const DeviceFacts& device, const Ceilings& ceilings) {
  std::fprintf(
      out,
      "{\"device\": {\"name\": \"%s\", \"sm_count\": %d, \"l2_bytes\": %d, \"memory_bytes\": %lld, "
      "\"driver_version\": %d, \"runtime_version\": %d},\n",
      device.name.c_str(), device.sm_count, device.l2_bytes,
      static_cast<long long>(device.memory_bytes), device.driver_version, device.runtime_version);
  std::fprintf(out,
               " \"ceilings\": {\"copy_bytes_per_s\": %.4g, \"recall_bytes_per_s\": %.4g, "
               "\"bf16_flop_per_s\": %.4g},\n \"rows\": [",
               ceilings.copy_bytes_per_s, ceilings.recall_bytes_per_s, ceilings.bf16_flop_per_s);
}

double Fraction(double amount, double us, double ceiling) {
  return ceiling > 0 ? amount / (us * 1e-6) / ceiling : 0;
}

void WriteRow(std::FILE* out, const BenchRow& row, const Ceilings& ceilings, bool first) {
  const double of_bytes =
      Fraction(row.bytes, row.timing.cold_us,
               row.over_link ? ceilings.recall_bytes_per_s : ceilings.copy_bytes_per_s);
  const double of_flop = Fraction(row.flop, row.timing.cold_us, ceilings.bf16_flop_per_s);
  std::fprintf(
      out,
      "%s\n  {\"op\": \"%s\", \"context\": %lld, \"batch\": %d, \"kmax\": %d, \"blocks\": %d, "
      "\"cold_us\": %.3f, \"warm_us\": %.3f, \"warm_spread\": %.3f, \"submit_us\": %.3f, "
      "\"bytes\": %.6g, \"flop\": %.6g, \"of_copy_ceiling\": %.4f, \"of_bf16_ceiling\": %.4f}",
      first ? "" : ",", row.op.c_str(), static_cast<long long>(row.context), row.batch, row.kmax,
      row.blocks, row.timing.cold_us, row.timing.warm_us, row.timing.warm_spread,
      row.timing.submit_us, row.bytes, row.flop, of_bytes, of_flop);
  std::printf("%-22s %8lldK %5d %5d %4d %10.1f %10.1f %9.1f %6.1f%% %6.1f%%\n", row.op.c_str(),
              static_cast<long long>(row.context / 1024), row.batch, row.kmax, row.blocks,
              row.timing.cold_us, row.timing.warm_us, row.timing.submit_us, 100 * of_bytes,
              100 * of_flop);
  std::fflush(stdout);
}

int Run(bool quick, const char* path) {
  if (const KernelStatus status = CheckDevice(); !status.ok()) return Fail(status);
  DeviceFacts device;
  Ceilings ceilings;
  if (const KernelStatus status = DescribeDevice(&device); !status.ok()) return Fail(status);
  if (const KernelStatus status = MeasureCeilings(&ceilings); !status.ok()) return Fail(status);
  std::FILE* out = std::fopen(path, "w");
  if (out == nullptr) return Fail({KernelCode::kInvalidArgument, "cannot write the output file"});
  std::printf("%s: copy %.0f GB/s, recall %.1f GB/s, bf16 %.0f TFLOP/s\n", device.name.c_str(),
              ceilings.copy_bytes_per_s * 1e-9, ceilings.recall_bytes_per_s * 1e-9,
              ceilings.bf16_flop_per_s * 1e-12);
  std::printf("%-22s %9s %5s %5s %4s %10s %10s %9s %7s %7s\n", "op", "context", "batch", "kmax",
              "blk", "cold us", "warm us", "submit us", "bytes", "flop");
  WriteHead(out, device, ceilings);
  bool first = true;
  const KernelStatus status = RunBench(quick, device.sm_count, [&](const BenchRow& row) {
    WriteRow(out, row, ceilings, first);
    first = false;
  });
  std::fprintf(out, "\n]}\n");
  std::fclose(out);
  return status.ok() ? 0 : Fail(status);
}

}  // namespace
}  // namespace tierscope::bench

int main(int argc, char** argv) {
  const bool quick = argc > 1 && std::strcmp(argv[1], "--quick") == 0;
  if (argc != (quick ? 3 : 2)) {
    std::fprintf(stderr, "usage: kernel_bench [--quick] OUT.json\n");
    return 2;
  }
  return tierscope::bench::Run(quick, argv[argc - 1]);
}
