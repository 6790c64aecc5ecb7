#include "real/cuda_backend.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "kernels/gather.h"
#include "kernels/paged.h"
#include "real/cpu_backend.h"
#include "real/cuda_error.h"
#include "real/cuda_memory.h"
#include "real/cuda_products.h"
#include "real/cuda_stream.h"
#include "real/cupti_tracer.h"
#include "real/device_state.h"
#include "sim/base/check.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr int64_t kStagedPages = 16;  // of one piece of a staged recall
constexpr int64_t kPatternBytes = int64_t{4} << 20;
constexpr int kCapabilityMin = 8;

// bf16 of both signs from 2^-7 on, below 2^-6: what products cost does not hang on zeros.
std::vector<uint16_t> MakePattern() {
  std::vector<uint16_t> pattern(kPatternBytes / 2);
  uint32_t state = 1;
  for (uint16_t& value : pattern) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<uint16_t>(0x3C00u | (state >> 9 & 0x807Fu));
  }
  return pattern;
}

std::string VersionText(int version) {
  return absl::StrCat(version / 1000, ".", version % 1000 / 10);
}

class CudaBackend : public Backend {
 public:
  explicit CudaBackend(const CudaBackendOptions& options)
      : options_(options), memory_(options.pinned_bytes_max) {}

  ~CudaBackend() override {
    // What runs may still use what is freed.
    for (StreamState& state : streams_) {
      state.products.reset();
      state.stream.reset();
    }
    memory_.Release();
  }

  absl::Status Open() {
    TIERSCOPE_RETURN_IF_ERROR(Describe());
    int lowest = 0, highest = 0;
    TIERSCOPE_RETURN_IF_ERROR(
        FromCuda(cudaDeviceGetStreamPriorityRange(&lowest, &highest), "stream priorities"));
    TIERSCOPE_RETURN_IF_ERROR(OpenStream(Stream::kDecode, highest));
    return OpenStream(Stream::kSideBand, lowest);
  }

  const DeviceDescription& device() const override { return device_; }

  absl::StatusOr<uint8_t*> Allocate(const std::string& name, Arena arena, int64_t bytes) override {
    return memory_.Allocate(name, arena, bytes);
  }
  std::vector<NamedMemory> footprint() const override { return memory_.footprint(); }
  std::vector<NamedMemory> footprint_beside() const override { return memory_.footprint_beside(); }

  absl::StatusOr<int32_t> MakeBallast(const std::string& name,
                                      std::span<const GemmShape> products_max) override {
    std::vector<Weights> ballast;
    int64_t x_max = 1, y_max = 1;
    for (const GemmShape& p : products_max) {
      const int64_t count = p.columns * p.inner * p.groups;
      TIERSCOPE_ASSIGN_OR_RETURN(uint8_t * memory, Allocate(name, Arena::kDevice, 2 * count));
      TIERSCOPE_RETURN_IF_ERROR(FillPattern(memory, 2 * count));
      ballast.push_back({reinterpret_cast<uint16_t*>(memory), count});
      x_max = std::max(x_max, p.rows * p.inner * p.groups);
      y_max = std::max(y_max, p.rows * p.columns * p.groups);
    }
    TIERSCOPE_RETURN_IF_ERROR(GrowActivations(x_max, y_max));
    ballasts_.push_back(std::move(ballast));
    return static_cast<int32_t>(ballasts_.size()) - 1;
  }

  absl::Status Ballast(Stream stream, int32_t ballast,
                       std::span<const GemmShape> products) override {
    TIERSCOPE_CHECK(ballast >= 0 && static_cast<size_t>(ballast) < ballasts_.size());
    const std::vector<Weights>& weights = ballasts_[static_cast<size_t>(ballast)];
    TIERSCOPE_CHECK(products.size() <= weights.size());
    StreamState& state = At(stream);
    TIERSCOPE_RETURN_IF_ERROR(state.stream->Ready());
    for (size_t i = 0; i < products.size(); ++i) {
      const GemmShape& p = products[i];
      TIERSCOPE_CHECK(p.columns * p.inner * p.groups <= weights[i].count &&
                      p.rows * p.inner * p.groups <= x_count_ &&
                      p.rows * p.columns * p.groups <= y_count_);
      TIERSCOPE_RETURN_IF_ERROR(
          state.stream->Keep(state.products->Multiply(p, x_, weights[i].memory, state.y)));
    }
    return absl::OkStatus();
  }

  absl::Status MemoryScore(Stream stream, const MemoryScoreParams& params) override {
    return Run(stream, "memory score", [&](auto s) { return LaunchMemoryScore(params, s); });
  }
  absl::Status NativeScore(Stream stream, const NativeScoreParams& params) override {
    return Run(stream, "native score", [&](auto s) { return LaunchNativeScore(params, s); });
  }
  absl::Status SelectPages(Stream stream, const PageSelectParams& params) override {
    return Run(stream, "page selection", [&](auto s) { return LaunchPageSelect(params, s); });
  }
  absl::Status TopEntries(Stream stream, const TopEntriesParams& params) override {
    return Run(stream, "top entries", [&](auto s) { return LaunchTopEntries(params, s); });
  }
  absl::Status Attention(Stream stream, const AttentionParams& params) override {
    const AttentionParams split = Split(At(stream), params);
    return Run(stream, "attention", [&](auto s) { return LaunchAttention(split, s); });
  }

  absl::Status Recall(Stream stream, const PageTransfer& transfer) override {
    switch (transfer.path) {
      case RecallPath::kCopyEngine:
        return CopyPages(stream, "recall", transfer, CopyDirection::kRecall);
      case RecallPath::kStaged:
        return RecallStaged(stream, transfer);
      case RecallPath::kGatherKernel:
        return RecallGathered(stream, transfer);
    }
    return absl::OkStatus();
  }

  absl::Status Writeback(Stream stream, const PageTransfer& transfer) override {
    return CopyPages(stream, "writeback", transfer, CopyDirection::kWriteback);
  }

  absl::Status Copy(Stream which, void* target, const void* source, int64_t bytes) override {
    if (bytes <= 0) return absl::OkStatus();
    CudaStream& stream = *At(which).stream;
    if (stream.capturing()) {
      return stream.Keep(absl::InternalError("copy: within a sequence, which has none"));
    }
    const Place to = memory_.PlaceOf(target), from = memory_.PlaceOf(source);
    if (to == Place::kDevice && from == Place::kOutside) {
      return stream.Upload(static_cast<uint8_t*>(target), static_cast<const uint8_t*>(source),
                           bytes);
    }
    TIERSCOPE_RETURN_IF_ERROR(stream.Ready());
    if (to != Place::kDevice && from != Place::kDevice) {
      TIERSCOPE_RETURN_IF_ERROR(stream.Keep(cudaStreamSynchronize(stream.get()), "copy"));
      std::memcpy(target, source, static_cast<size_t>(bytes));
      return absl::OkStatus();
    }
    return stream.Keep(cudaMemcpyAsync(target, source, static_cast<size_t>(bytes),
                                       cudaMemcpyDefault, stream.get()),
                       "copy");
  }

  absl::Status Synchronize(Stream stream) override { return At(stream).stream->Synchronize(); }
  absl::StatusOr<bool> BeginSequence(Stream stream, int64_t key) override {
    return At(stream).stream->BeginSequence(key, options_.graphs && !tracing());
  }
  absl::Status EndSequence(Stream stream) override { return At(stream).stream->EndSequence(); }

  // Numbers of marks carry their stream in the lowest bit.
  int64_t Mark(Stream stream) override {
    return 2 * At(stream).stream->Mark() + static_cast<int64_t>(stream);
  }
  int64_t NsOfMark(int64_t mark) override {
    return streams_[static_cast<size_t>(mark & 1)].stream->marks().NsOf(mark >> 1);
  }
  int64_t HostNs() override { return HostClockNs(); }

  absl::Status StartTrace() override {
    TIERSCOPE_ASSIGN_OR_RETURN(tracer_, CuptiTracer::Start());
    return absl::OkStatus();
  }
  bool tracing() const override { return tracer_ != nullptr; }
  void Tag(uint64_t tag) override {
    if (tracer_ != nullptr) tracer_->Tag(tag);
  }
  absl::StatusOr<ActivityTrace> StopTrace() override {
    if (tracer_ == nullptr) return absl::FailedPreconditionError("no trace was started");
    const std::unique_ptr<CuptiTracer> tracer = std::move(tracer_);
    TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaDeviceSynchronize(), "end of the trace"));
    return tracer->Stop();
  }
  std::string DeviceState() override { return DeviceStateAt(pci_bus_id_); }

 private:
  using Place = CudaMemory::Place;
  struct Weights {
    uint16_t* memory = nullptr;
    int64_t count = 0;
  };
  struct StreamState {
    std::unique_ptr<CudaStream> stream;
    std::unique_ptr<CudaProducts> products;
    float* partial_out = nullptr;  // [split_rows_][64][512]
    float* partial_lse = nullptr;  // [split_rows_][64]
    uint16_t* y = nullptr;         // of products
    PageCopyBatch copies;
    std::vector<uint8_t> pageable;      // of a staged recall; pageable on purpose
    uint8_t* device_staging = nullptr;  // [kStagedPages] pages
  };

  StreamState& At(Stream stream) { return streams_[static_cast<size_t>(stream)]; }
  template <typename Launch>
  absl::Status Run(Stream stream, const char* op, Launch launch) {
    return At(stream).stream->Run(op, launch);
  }

  absl::Status Describe() {
    int count = 0;
    TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaGetDeviceCount(&count), "--backend=cuda"));
    if (count == 0) return FromCuda(cudaErrorNoDevice, "--backend=cuda");
    TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaSetDevice(0), "--backend=cuda"));
    TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaFree(nullptr), "context of the device"));
    cudaDeviceProp properties{};
    TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaGetDeviceProperties(&properties, 0), "device 0"));
    if (properties.major < kCapabilityMin) {
      return absl::FailedPreconditionError(absl::StrCat(
          "--backend=cuda: ", properties.name, " has compute capability ", properties.major, ".",
          properties.minor, ", the kernels need 8.0; run on such a device, or with --backend=cpu"));
    }
    TIERSCOPE_RETURN_IF_ERROR(memory_.Open());
    char bus_id[32] = {};
    TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaDeviceGetPCIBusId(bus_id, sizeof bus_id, 0), "device"));
    pci_bus_id_ = bus_id;
    int driver = 0, runtime = 0;
    TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaDriverGetVersion(&driver), "driver version"));
    TIERSCOPE_RETURN_IF_ERROR(FromCuda(cudaRuntimeGetVersion(&runtime), "runtime version"));
    const std::string driver_name = DriverVersion();
    device_.software =
        absl::StrCat("driver ", driver_name.empty() ? "of unknown version" : driver_name,
                     " for CUDA ", VersionText(driver), ", runtime ", VersionText(runtime));
    device_.backend = "cuda";
    device_.name = properties.name;
    device_.core_count = properties.multiProcessorCount;
    device_.sideband_core_count = properties.multiProcessorCount;
    device_.attention_tile_entries = kAttentionTileEntries;
    device_.asynchronous = true;
    device_.memory_bytes = memory_.device_bytes();
    device_.weight_format = "bf16";
    device_.weight_bytes_each = 2.0;
    device_.device_bytes_free = memory_.device_bytes_free();
    device_.host_bytes_free = options_.pinned_bytes_max;
    if (const int64_t available = AvailableMemoryBytes(); available > 0) {
      device_.host_bytes_free = std::min(device_.host_bytes_free, available);
    }
    return absl::OkStatus();
  }

  absl::Status OpenStream(Stream which, int priority) {
    StreamState& state = At(which);
    TIERSCOPE_ASSIGN_OR_RETURN(
        state.stream, CudaStream::Make(priority, options_.staging_bytes, &memory_, &failure_));
    TIERSCOPE_ASSIGN_OR_RETURN(uint8_t * workspace, Allocate("products' workspace", Arena::kDevice,
                                                             options_.products_workspace_bytes));
    TIERSCOPE_ASSIGN_OR_RETURN(
        state.products,
        CudaProducts::Make(state.stream->get(), workspace, options_.products_workspace_bytes));
    if (which == Stream::kDecode) {
      absl::StrAppend(&device_.software, ", ", state.products->version());
    }
    split_rows_ = 2 * device_.core_count;
    const int64_t heads = int64_t{split_rows_} * kAttentionHeads;
    TIERSCOPE_ASSIGN_OR_RETURN(uint8_t * out,
                               Allocate("attention parts", Arena::kDevice, heads * kKvDim * 4));
    TIERSCOPE_ASSIGN_OR_RETURN(uint8_t * lse,
                               Allocate("attention parts", Arena::kDevice, heads * 4));
    state.partial_out = reinterpret_cast<float*>(out);
    state.partial_lse = reinterpret_cast<float*>(lse);
    return absl::OkStatus();
  }

  absl::Status GrowActivations(int64_t x_count, int64_t y_count) {
    if (x_count > x_count_) {
      TIERSCOPE_ASSIGN_OR_RETURN(uint8_t * memory,
                                 Allocate("activations", Arena::kDevice, 2 * x_count));
      TIERSCOPE_RETURN_IF_ERROR(FillPattern(memory, 2 * x_count));
      x_ = reinterpret_cast<uint16_t*>(memory);
      x_count_ = x_count;
    }
    if (y_count <= y_count_) return absl::OkStatus();
    for (StreamState& state : streams_) {
      TIERSCOPE_ASSIGN_OR_RETURN(uint8_t * memory,
                                 Allocate("activations", Arena::kDevice, 2 * y_count));
      state.y = reinterpret_cast<uint16_t*>(memory);
    }
    y_count_ = y_count;
    return absl::OkStatus();
  }

  // The first piece comes from the host, the others from what is there already.
  absl::Status FillPattern(uint8_t* memory, int64_t bytes) {
    static const auto& pattern = *new std::vector<uint16_t>(MakePattern());
    const cudaStream_t stream = At(Stream::kDecode).stream->get();
    const auto copy = [&](int64_t at, const void* from, int64_t count) {
      return FromCuda(
          cudaMemcpyAsync(memory + at, from, static_cast<size_t>(count), cudaMemcpyDefault, stream),
          "weights");
    };
    int64_t done = std::min(bytes, kPatternBytes);
    if (done > 0) TIERSCOPE_RETURN_IF_ERROR(copy(0, pattern.data(), done));
    while (done < bytes) {
      const int64_t count = std::min(done, bytes - done);
      TIERSCOPE_RETURN_IF_ERROR(copy(done, memory, count));
      done += count;
    }
    return FromCuda(cudaStreamSynchronize(stream), "weights");
  }

  // Parts of a request for several SMs, as many as the scratch has room for.
  AttentionParams Split(const StreamState& state, const AttentionParams& params) const {
    AttentionParams split = params;
    if (params.request_count <= 0 || params.splits != 1) return split;
    const int64_t listed =
        params.cells != nullptr ? params.cells_max : int64_t{params.pages_max} * kPageEntries;
    const auto entries =
        static_cast<int32_t>(std::min<int64_t>(listed + params.window_max, kAttentionEntriesMax));
    const int32_t wish = ChooseAttentionSplits(params.request_count, entries, device_.core_count);
    split.splits = std::clamp(wish, 1, std::max(1, split_rows_ / params.request_count));
    if (split.splits == 1) return split;
    split.partial_out = state.partial_out;
    split.partial_lse = state.partial_lse;
    return split;
  }

  absl::Status BuildCopies(StreamState& state, const char* op, const PageTransfer& transfer,
                           CopyDirection direction) {
    return FromLauncher(
        BuildPageCopies(transfer.pools, transfer.moves.data(),
                        static_cast<int64_t>(transfer.moves.size()), direction, &state.copies),
        op);
  }

  absl::Status CopyPages(Stream stream, const char* op, const PageTransfer& transfer,
                         CopyDirection direction) {
    StreamState& state = At(stream);
    TIERSCOPE_RETURN_IF_ERROR(BuildCopies(state, op, transfer, direction));
    return Run(stream, op, [&](auto s) { return SubmitPageCopies(state.copies, s); });
  }

  // Moves pages by the gather kernel, which reads their numbers in pinned staging.
  template <typename SourceOf, typename TargetOf>
  absl::Status Gather(Stream which, const PageGatherParams& base, size_t count, SourceOf source_of,
                      TargetOf target_of) {
    CudaStream& stream = *At(which).stream;
    const auto room = static_cast<size_t>(stream.uploads().bytes_max() / 8);
    for (size_t first = 0; first < count;) {
      const size_t piece = std::min(count - first, room);
      TIERSCOPE_ASSIGN_OR_RETURN(uint8_t * staged,
                                 stream.uploads().Reserve(static_cast<int64_t>(piece) * 8));
      auto* sources = reinterpret_cast<int32_t*>(staged);
      int32_t* targets = sources + piece;
      for (size_t i = 0; i < piece; ++i) {
        sources[i] = source_of(first + i);
        targets[i] = target_of(first + i);
      }
      PageGatherParams params = base;
      params.source_pages = sources;
      params.target_pages = targets;
      params.move_count = static_cast<int32_t>(piece);
      params.blocks_max = options_.gather_blocks;
      TIERSCOPE_RETURN_IF_ERROR(
          stream.Run("recall", [&](auto s) { return LaunchPageGather(params, s); }));
      first += piece;
    }
    return absl::OkStatus();
  }

  absl::Status RecallGathered(Stream stream, const PageTransfer& transfer) {
    TIERSCOPE_RETURN_IF_ERROR(BuildCopies(At(stream), "recall", transfer, CopyDirection::kRecall));
    PageGatherParams params;
    params.source = transfer.pools.cold_pool;
    params.target = transfer.pools.reserve;
    params.page_bytes = transfer.pools.page_bytes;
    return Gather(
        stream, params, transfer.moves.size(),
        [&](size_t i) { return transfer.moves[i].cold_page; },
        [&](size_t i) { return transfer.moves[i].block; });
  }

  // As FlashMemory: pages are gathered by the CPU into one pageable buffer, copied over, and
  // scattered to their blocks.
  absl::Status RecallStaged(Stream which, const PageTransfer& transfer) {
    StreamState& state = At(which);
    CudaStream& stream = *state.stream;
    const PagePools& pools = transfer.pools;
    TIERSCOPE_RETURN_IF_ERROR(BuildCopies(state, "recall", transfer, CopyDirection::kRecall));
    TIERSCOPE_RETURN_IF_ERROR(MakeStaging(state, kStagedPages * pools.page_bytes));
    const auto page_bytes = static_cast<size_t>(pools.page_bytes);
    for (size_t first = 0; first < transfer.moves.size(); first += kStagedPages) {
      const size_t count = std::min<size_t>(kStagedPages, transfer.moves.size() - first);
      for (size_t i = 0; i < count; ++i) {
        std::memcpy(state.pageable.data() + i * page_bytes,
                    pools.cold_pool + transfer.moves[first + i].cold_page * pools.page_bytes,
                    page_bytes);
      }
      TIERSCOPE_RETURN_IF_ERROR(stream.Ready());
      // From pageable memory: the buffer may be filled again when the call returns.
      TIERSCOPE_RETURN_IF_ERROR(
          stream.Keep(cudaMemcpyAsync(state.device_staging, state.pageable.data(),
                                      count * page_bytes, cudaMemcpyHostToDevice, stream.get()),
                      "recall"));
      PageGatherParams params;
      params.source = state.device_staging;
      params.target = pools.reserve;
      params.page_bytes = pools.page_bytes;
      TIERSCOPE_RETURN_IF_ERROR(Gather(
          which, params, count, [](size_t i) { return static_cast<int32_t>(i); },
          [&](size_t i) { return transfer.moves[first + i].block; }));
    }
    return absl::OkStatus();
  }

  absl::Status MakeStaging(StreamState& state, int64_t bytes) {
    if (static_cast<int64_t>(state.pageable.size()) >= bytes) return absl::OkStatus();
    TIERSCOPE_ASSIGN_OR_RETURN(state.device_staging, Allocate("staging", Arena::kDevice, bytes));
    state.pageable.resize(static_cast<size_t>(bytes));
    return absl::OkStatus();
  }

  const CudaBackendOptions options_;
  DeviceDescription device_;
  std::string pci_bus_id_;
  CudaMemory memory_;
  CudaFailure failure_;
  std::array<StreamState, 2> streams_;
  int32_t split_rows_ = 0;
  std::vector<std::vector<Weights>> ballasts_;  // [ballast][product]
  uint16_t* x_ = nullptr;
  int64_t x_count_ = 0;
  int64_t y_count_ = 0;
  std::unique_ptr<CuptiTracer> tracer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> MakeCudaBackend(const CudaBackendOptions& options) {
  if (options.pinned_bytes_max <= 0 || options.staging_bytes < 4096 || options.gather_blocks < 1 ||
      options.gather_blocks > kGatherBlocksMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cuda backend: ", options.pinned_bytes_max, " bytes of pinned memory at most, ",
        options.staging_bytes, " of staging, ", options.gather_blocks,
        " blocks of a gather; give more than 0, at least 4096, and 1 to ", kGatherBlocksMax));
  }
  auto backend = std::make_unique<CudaBackend>(options);
  TIERSCOPE_RETURN_IF_ERROR(backend->Open());
  return backend;
}

}  // namespace tierscope
