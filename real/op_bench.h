// The ops of a decode step and of a level-1 job, each alone and once, at the shapes of a scenario's
// model: what `tierscope calibrate` times. Nothing here runs a step.
//
// Before an op of the decode stream the products of one layer run on its stream, untimed: they keep
// the stream's threads awake and take its caches, as in a step. Contents are arbitrary finite
// numbers; every request has keys and entries of its own.
//
// One thread, but for TimeBeside.
#ifndef TIERSCOPE_REAL_OP_BENCH_H_
#define TIERSCOPE_REAL_OP_BENCH_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "real/backend.h"
#include "real/op_grid.h"
#include "scenarios/scenario.pb.h"

namespace tierscope {

class OpBench {
 public:
  // The backend has nothing allocated yet and outlives the bench, as the scenario does. Errors:
  // memory; a model whose shapes the kernels do not have.
  static absl::StatusOr<std::unique_ptr<OpBench>> Make(Backend* backend, const Scenario& scenario,
                                                       const OpGrid& grid);

  // Nanoseconds of one call, all of one layer (BALLAST: of all layers and the head). Precondition:
  // x and batch within the grid; an op of kMeasuredOps.
  absl::StatusOr<int64_t> Time(OpTable::Op op, double x, double batch);

  // Nanoseconds to move `pages` pages that are no neighbours, `page_bytes` each, to the reserve or
  // back. Precondition: as many as the grid has, of at most the model's page.
  absl::StatusOr<int64_t> TimeRecall(int64_t pages, int64_t page_bytes, RecallPath path);
  absl::StatusOr<int64_t> TimeWriteback(int64_t pages, int64_t page_bytes);
  // Nanoseconds of one copy inside the device, out of memory that no cache holds.
  absl::StatusOr<int64_t> TimeDeviceCopy();
  int64_t device_copy_bytes() const { return copy_bytes_; }
  int64_t page_bytes() const { return page_bytes_; }

  // The host's nanoseconds to launch `ops` small ops of the decode stream one by one, or as one
  // sequence that the backend has kept. Precondition: the backend's ops are asynchronous.
  enum class Launch { kOneByOne, kSequence };
  absl::StatusOr<int64_t> TimeLaunch(Launch launch, int32_t ops);

  // What an op of the decode stream and one of the side-band take, in nanoseconds, alone and while
  // the other runs without pause: a decode layer (products, score, attention) beside level-1
  // scoring or a recall; a writeback beside a recall.
  struct Beside {
    int64_t decode_alone = 0, decode_beside = 0;
    int64_t other_alone = 0, other_beside = 0;
  };
  enum class Pair { kLayerAndScore, kLayerAndRecall, kWritebackAndRecall };
  absl::StatusOr<Beside> TimeBeside(Pair pair, int32_t rounds);

 private:
  explicit OpBench(Backend* backend, const Scenario& scenario, const OpGrid& grid);
  absl::Status AllocateAll();
  absl::Status MakeBallasts();
  template <typename T>
  absl::Status Get(const char* name, int64_t count, T** memory, Arena arena = Arena::kDevice);

  absl::StatusOr<int64_t> TimeBallast(int32_t batch);
  absl::Status RunOneLayer(Stream stream);
  absl::Status RunOp(OpTable::Op op, int32_t x, int32_t batch);
  absl::Status RunSelect(int32_t entries, int32_t batch);
  absl::Status RunAttention(int32_t attended, int32_t batch, bool cells);
  absl::Status RunScore(int32_t entries, int32_t batch);
  absl::Status RunNativeScore(int32_t entries, int32_t batch);
  absl::Status RunTopK(int32_t entries, int32_t batch);
  absl::Status DecodeLayer();
  PageTransfer Transfer(int64_t pages, int64_t page_bytes, RecallPath path, Stream stream);
  template <typename T>
  absl::Status Put(T* target, const std::vector<T>& values);
  absl::Status PutPages(uint8_t* target, const std::vector<uint8_t>& page, int64_t count);
  absl::Status SetCounts(int32_t entries, int32_t batch);
  absl::Status SetCells(int32_t attended, int32_t batch);
  template <typename Run>
  absl::StatusOr<int64_t> Timed(Stream stream, Run run);

  Backend* backend_;
  const Scenario& scenario_;
  OpGrid grid_;
  int32_t batch_max_, history_pages_, active_pages_, hca_pages_, top_k_, cells_max_, window_;
  int64_t page_bytes_, copy_bytes_;
  std::vector<int32_t> ballasts_;   // of each layer, then the head
  std::vector<PageMove> moves_[2];  // [stream]
  std::vector<int32_t> lists_host_;

  // Device memory, shapes as the kernels name them.
  uint8_t* keys_[kMemoryLayers] = {};
  uint8_t* memory_q_ = nullptr;
  uint8_t* native_q_ = nullptr;
  float* memory_weights_ = nullptr;
  float* native_weights_ = nullptr;
  int32_t* pages_ = nullptr;
  int32_t* counts_ = nullptr;
  uint8_t* density_ = nullptr;
  float* logits_ = nullptr;
  int32_t* held_ = nullptr;
  int32_t* selected_ = nullptr;
  int32_t* recall_ = nullptr;
  int32_t* evict_ = nullptr;
  int32_t* select_counts_ = nullptr;
  int32_t* entries_ = nullptr;
  int32_t* cells_ = nullptr;
  int32_t* window_cells_ = nullptr;
  uint8_t* reserve_ = nullptr;
  uint8_t* recalled_ = nullptr;
  uint8_t* window_pool_ = nullptr;
  uint8_t* cold_pool_ = nullptr;
  uint8_t* copy_ = nullptr;
  uint16_t* attention_q_ = nullptr;
  uint16_t* attention_out_ = nullptr;
  float* lse_ = nullptr;
  int32_t reserve_pages_ = 0;
  int64_t copies_made_ = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_OP_BENCH_H_
