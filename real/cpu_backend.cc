#include "real/cpu_backend.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tbb/info.h"
#include "tbb/task_arena.h"

#include "kernels/cpu_kernels.h"
#include "real/cpu_gemm.h"
#include "sim/base/check.h"
#include "sim/base/status_macros.h"
#include "sim/base/units.h"

namespace tierscope {
namespace {

constexpr int32_t kThreadsMax = 1024;
constexpr size_t kAlignment = 4096;
constexpr int64_t kStagedPages = 16;  // of one piece of a staged recall
constexpr double kMemoryShare = 0.9;  // of what is available, when nobody sets a limit

int64_t Steady() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    const bool named = line.rfind("model name", 0) == 0 && colon != std::string::npos;
    if (named && colon + 2 < line.size()) return line.substr(colon + 2);
  }
  return "unknown processor";
}

// The first whole number in a file; -1 where there is none ("max").
int64_t NumberIn(const char* path) {
  std::ifstream file(path);
  int64_t value = -1;
  return file >> value ? value : -1;
}

int64_t MemInfoBytes(const std::string& field) {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  for (int64_t kib = 0; file >> name >> kib;) {
    if (name == field + ":") return kib * kKiB;
    std::getline(file, unit);
  }
  return 0;
}

absl::Status FromKernel(const KernelStatus& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("kernel refused its parameters: ", status.message));
}

struct FreeMemory {
  void operator()(uint8_t* memory) const { std::free(memory); }
};

class CpuBackend : public Backend {
 public:
  CpuBackend(const CpuBackendOptions& options, int64_t memory_bytes_max)
      : decode_arena_(options.decode_threads),
        sideband_arena_(options.sideband_threads),
        memory_bytes_max_(memory_bytes_max) {
    device_.backend = "cpu";
    device_.name = ProcessorName();
    device_.core_count = options.decode_threads;
    device_.sideband_core_count = options.sideband_threads;
    device_.memory_bytes = MemInfoBytes("MemTotal");
    device_.weight_format = "fp32";
    device_.weight_bytes_each = sizeof(float);
  }

  const DeviceDescription& device() const override { return device_; }

  absl::StatusOr<uint8_t*> Allocate(const std::string& name, Arena arena, int64_t bytes) override {
    const std::lock_guard<std::mutex> lock(memory_mutex_);
    if (bytes < 0 || bytes > memory_bytes_max_ - memory_bytes_) {
      return absl::ResourceExhaustedError(absl::StrCat(
          name, ": ", bytes, " bytes beside the ", memory_bytes_, " allocated are more than the ",
          memory_bytes_max_, " this machine can give; run a smaller scenario"));
    }
    const size_t rounded = (static_cast<size_t>(bytes) + kAlignment) / kAlignment * kAlignment;
    auto* memory = static_cast<uint8_t*>(std::aligned_alloc(kAlignment, rounded));
    if (memory == nullptr) {
      return absl::ResourceExhaustedError(
          absl::StrCat(name, ": ", bytes, " bytes cannot be allocated; run a smaller scenario"));
    }
    blocks_.emplace_back(memory);
    std::memset(memory, 0, rounded);  // so that no page is first touched while time is taken
    memory_bytes_ += bytes;
    const auto known = std::find_if(footprint_.begin(), footprint_.end(), [&](const auto& named) {
      return named.name == name && named.arena == arena;
    });
    if (known != footprint_.end()) {
      known->bytes += bytes;
    } else {
      footprint_.push_back({name, arena, bytes});
    }
    return memory;
  }

  std::vector<NamedMemory> footprint() const override { return footprint_; }

  absl::StatusOr<int32_t> MakeBallast(const std::string& name,
                                      std::span<const GemmShape> products_max) override {
    BallastMemory ballast;
    int64_t x_max = 0, y_max = 0;
    for (const GemmShape& p : products_max) {
      const int64_t weights = p.columns * p.inner * p.groups;
      TIERSCOPE_ASSIGN_OR_RETURN(float* memory, AllocateFloats(name, weights));
      FillWeights(memory, weights);
      ballast.weights.push_back({memory, weights});
      x_max = std::max(x_max, p.rows * p.inner * p.groups);
      y_max = std::max(y_max, p.rows * p.columns * p.groups);
    }
    TIERSCOPE_ASSIGN_OR_RETURN(ballast.x, AllocateFloats("activations", x_max));
    TIERSCOPE_ASSIGN_OR_RETURN(ballast.y, AllocateFloats("activations", y_max));
    ballast.x_floats = x_max;
    ballast.y_floats = y_max;
    std::fill_n(ballast.x, x_max, 0.5f);
    ballasts_.push_back(std::move(ballast));
    return static_cast<int32_t>(ballasts_.size()) - 1;
  }

  absl::Status Ballast(Stream stream, int32_t ballast,
                       std::span<const GemmShape> products) override {
    TIERSCOPE_CHECK(ballast >= 0 && static_cast<size_t>(ballast) < ballasts_.size());
    BallastMemory& memory = ballasts_[static_cast<size_t>(ballast)];
    TIERSCOPE_CHECK(products.size() <= memory.weights.size());
    for (size_t i = 0; i < products.size(); ++i) {
      const GemmShape& p = products[i];
      TIERSCOPE_CHECK(p.columns * p.inner * p.groups <= memory.weights[i].count &&
                      p.rows * p.inner * p.groups <= memory.x_floats &&
                      p.rows * p.columns * p.groups <= memory.y_floats);
      arena(stream).execute([&] { GemmOnCpu(p, memory.x, memory.weights[i].memory, memory.y); });
    }
    return absl::OkStatus();
  }

  absl::Status MemoryScore(Stream stream, const MemoryScoreParams& params) override {
    return Run(stream, [&] { return MemoryScoreOnCpu(params); });
  }
  absl::Status NativeScore(Stream stream, const NativeScoreParams& params) override {
    return Run(stream, [&] { return NativeScoreOnCpu(params); });
  }
  absl::Status SelectPages(Stream stream, const PageSelectParams& params) override {
    return Run(stream, [&] { return PageSelectOnCpu(params); });
  }
  absl::Status TopEntries(Stream stream, const TopEntriesParams& params) override {
    return Run(stream, [&] { return TopEntriesOnCpu(params); });
  }
  absl::Status Attention(Stream stream, const AttentionParams& params) override {
    return Run(stream, [&] { return AttentionOnCpu(params); });
  }

  absl::Status Recall(Stream stream, const PageTransfer& transfer) override {
    switch (transfer.path) {
      case RecallPath::kCopyEngine:
        return CopyPages(stream, transfer, CopyDirection::kRecall);
      case RecallPath::kStaged:
        return RecallStaged(stream, transfer);
      case RecallPath::kGatherKernel:
        return RecallGathered(stream, transfer);
    }
    return absl::OkStatus();
  }

  absl::Status Writeback(Stream stream, const PageTransfer& transfer) override {
    return CopyPages(stream, transfer, CopyDirection::kWriteback);
  }

  absl::Status Copy(Stream, void* target, const void* source, int64_t bytes) override {
    if (bytes > 0) std::memcpy(target, source, static_cast<size_t>(bytes));
    return absl::OkStatus();
  }

  absl::Status Synchronize(Stream) override { return absl::OkStatus(); }
  int64_t Mark(Stream) override { return Steady(); }
  int64_t NsOfMark(int64_t mark) override { return mark; }
  int64_t HostNs() override { return Steady(); }

 private:
  struct Weights {
    float* memory = nullptr;
    int64_t count = 0;
  };
  struct BallastMemory {
    std::vector<Weights> weights;  // of each product
    float* x = nullptr;
    float* y = nullptr;
    int64_t x_floats = 0;
    int64_t y_floats = 0;
  };
  // What a stream needs for copies, kept so that a steady state allocates nothing.
  struct CopyScratch {
    PageCopyBatch batch;
    std::vector<int32_t> source_pages, target_pages;
    uint8_t* host_staging = nullptr;
    uint8_t* device_staging = nullptr;
    int64_t staging_bytes = 0;
  };

  tbb::task_arena& arena(Stream stream) {
    return stream == Stream::kDecode ? decode_arena_ : sideband_arena_;
  }
  CopyScratch& scratch(Stream stream) { return scratch_[static_cast<size_t>(stream)]; }

  template <typename Op>
  absl::Status Run(Stream stream, Op op) {
    KernelStatus status;
    arena(stream).execute([&] { status = op(); });
    return FromKernel(status);
  }

  absl::StatusOr<float*> AllocateFloats(const std::string& name, int64_t count) {
    if (count > std::numeric_limits<int64_t>::max() / static_cast<int64_t>(sizeof(float))) {
      return absl::ResourceExhaustedError(absl::StrCat(name, ": ", count, " floats"));
    }
    TIERSCOPE_ASSIGN_OR_RETURN(
        uint8_t * memory,
        Allocate(name, Arena::kDevice, count * static_cast<int64_t>(sizeof(float))));
    return reinterpret_cast<float*>(memory);
  }

  // Small, of both signs, and no denormals: the values of ballast mean nothing, their cost does.
  static void FillWeights(float* weights, int64_t count) {
    uint32_t state = 1;
    for (int64_t i = 0; i < count; ++i) {
      state = state * 1664525u + 1013904223u;
      weights[i] = static_cast<float>(state >> 8) * 0x1p-28f - 0x1p-5f;
    }
  }

  absl::Status CopyPages(Stream stream, const PageTransfer& transfer, CopyDirection direction) {
    PageCopyBatch& batch = scratch(stream).batch;
    TIERSCOPE_RETURN_IF_ERROR(FromKernel(
        BuildPageCopies(transfer.pools, transfer.moves.data(),
                        static_cast<int64_t>(transfer.moves.size()), direction, &batch)));
    for (size_t i = 0; i < batch.sizes.size(); ++i) {
      std::memcpy(batch.targets[i], batch.sources[i], batch.sizes[i]);
    }
    return absl::OkStatus();
  }

  absl::Status MakeStaging(CopyScratch& memory, int64_t bytes) {
    if (memory.staging_bytes >= bytes) return absl::OkStatus();
    TIERSCOPE_ASSIGN_OR_RETURN(memory.host_staging, Allocate("staging", Arena::kHost, bytes));
    TIERSCOPE_ASSIGN_OR_RETURN(memory.device_staging, Allocate("staging", Arena::kDevice, bytes));
    memory.staging_bytes = bytes;
    return absl::OkStatus();
  }

  // As FlashMemory: pages are gathered into one buffer, copied over, and scattered to their blocks.
  absl::Status RecallStaged(Stream stream, const PageTransfer& transfer) {
    CopyScratch& memory = scratch(stream);
    const PagePools& pools = transfer.pools;
    TIERSCOPE_RETURN_IF_ERROR(CheckMoves(transfer));
    TIERSCOPE_RETURN_IF_ERROR(MakeStaging(memory, kStagedPages * pools.page_bytes));
    const auto page_bytes = static_cast<size_t>(pools.page_bytes);
    for (size_t first = 0; first < transfer.moves.size(); first += kStagedPages) {
      const size_t count = std::min<size_t>(kStagedPages, transfer.moves.size() - first);
      for (size_t i = 0; i < count; ++i) {
        std::memcpy(memory.host_staging + i * page_bytes,
                    pools.cold_pool + transfer.moves[first + i].cold_page * pools.page_bytes,
                    page_bytes);
      }
      std::memcpy(memory.device_staging, memory.host_staging, count * page_bytes);
      for (size_t i = 0; i < count; ++i) {
        std::memcpy(pools.reserve + transfer.moves[first + i].block * pools.page_bytes,
                    memory.device_staging + i * page_bytes, page_bytes);
      }
    }
    return absl::OkStatus();
  }

  absl::Status RecallGathered(Stream stream, const PageTransfer& transfer) {
    if (transfer.moves.empty()) return absl::OkStatus();
    TIERSCOPE_RETURN_IF_ERROR(CheckMoves(transfer));
    CopyScratch& memory = scratch(stream);
    memory.source_pages.clear();
    memory.target_pages.clear();
    for (const PageMove& move : transfer.moves) {
      memory.source_pages.push_back(move.cold_page);
      memory.target_pages.push_back(move.block);
    }
    PageGatherParams params;
    params.source = transfer.pools.cold_pool;
    params.target = transfer.pools.reserve;
    params.page_bytes = transfer.pools.page_bytes;
    params.source_pages = memory.source_pages.data();
    params.target_pages = memory.target_pages.data();
    params.move_count = static_cast<int32_t>(transfer.moves.size());
    return Run(stream, [&] { return PageGatherOnCpu(params); });
  }

  static absl::Status CheckMoves(const PageTransfer& transfer) {
    PageCopyBatch unused;
    return FromKernel(BuildPageCopies(transfer.pools, transfer.moves.data(),
                                      static_cast<int64_t>(transfer.moves.size()),
                                      CopyDirection::kRecall, &unused));
  }

  tbb::task_arena decode_arena_;
  tbb::task_arena sideband_arena_;
  DeviceDescription device_;
  std::mutex memory_mutex_;
  const int64_t memory_bytes_max_;
  int64_t memory_bytes_ = 0;
  std::vector<std::unique_ptr<uint8_t, FreeMemory>> blocks_;
  std::vector<NamedMemory> footprint_;
  std::vector<BallastMemory> ballasts_;
  std::array<CopyScratch, 2> scratch_;  // by stream
};

}  // namespace

int64_t AvailableMemoryBytes() {
  int64_t available = MemInfoBytes("MemAvailable");
  const int64_t limit = NumberIn("/sys/fs/cgroup/memory.max");
  const int64_t used = NumberIn("/sys/fs/cgroup/memory.current");
  if (limit > 0 && used >= 0) available = std::min(available, std::max<int64_t>(0, limit - used));
  return available;
}

absl::StatusOr<std::unique_ptr<Backend>> MakeCpuBackend(const CpuBackendOptions& options) {
  CpuBackendOptions resolved = options;
  if (resolved.decode_threads == 0) resolved.decode_threads = tbb::info::default_concurrency();
  if (resolved.decode_threads < 1 || resolved.decode_threads > kThreadsMax ||
      resolved.sideband_threads < 1 || resolved.sideband_threads > kThreadsMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cpu backend: ", options.decode_threads, " threads for decode and ",
        options.sideband_threads, " for the side-band; give 1 to ", kThreadsMax, " of each"));
  }
  int64_t bytes_max = options.memory_bytes_max;
  if (bytes_max == 0) {
    const int64_t available = AvailableMemoryBytes();
    bytes_max = available == 0
                    ? std::numeric_limits<int64_t>::max()
                    : static_cast<int64_t>(kMemoryShare * static_cast<double>(available));
  }
  return std::make_unique<CpuBackend>(resolved, bytes_max);
}

}  // namespace tierscope
