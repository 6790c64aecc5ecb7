// The kernels of one decode step, layer by layer: ballast, and per CSA layer the native indexer
// over the active entries, its choice, sparse attention over it and the window; per HCA layer dense
// attention; per SWA layer the window. One owner, the decode thread. Steady state allocates
// nothing.
#ifndef TIERSCOPE_REAL_DECODE_STEP_H_
#define TIERSCOPE_REAL_DECODE_STEP_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "real/backend.h"
#include "real/content.h"
#include "real/execution_plan.h"
#include "real/kv_store.h"
#include "reports/schema/phase_log.h"
#include "sim/model/layer_work.h"

namespace tierscope {

// A request of the step's batch, and the set that it decodes with.
struct StepRow {
  int32_t request = 0;
  int64_t own_step = 0;
  std::span<const int32_t> pages;   // active pages of its history, rising
  std::span<const int32_t> blocks;  // of each, -1: lost
  int64_t active_entries = 0;       // 64 each but for the last page
  const RequestContent* content = nullptr;
};

// Time of a step's kernels by phase, and what they had to read.
struct KernelTimes {
  struct Family {
    int64_t begin_ns = 0;  // of the first, on the backend's clock; meaningless at duration 0
    int64_t duration_ns = 0;
    int64_t bytes = 0;
  };
  std::array<Family, kPhaseCount> families;  // by Phase
  Family& Of(Phase phase) { return families[static_cast<size_t>(phase)]; }
  const Family& Of(Phase phase) const { return families[static_cast<size_t>(phase)]; }
};

// What a test may look at, right after the kernels of a CSA layer and before the next.
struct CsaLayerView {
  int64_t batch_step = 0;
  int32_t layer = 0;
  std::span<const StepRow> rows;
  const NativeScoreParams* score = nullptr;
  const TopEntriesParams* top = nullptr;
  const AttentionParams* attention = nullptr;
};
using CsaLayerInspector = std::function<void(const CsaLayerView&)>;

class DecodeStep {
 public:
  // Allocates weights and a step's buffers. All arguments outlive the step.
  static absl::StatusOr<std::unique_ptr<DecodeStep>> Make(const ExecutionPlan& plan,
                                                          Backend& backend, const KvStore& store);

  // Runs the kernels for `rows`, at least one and at most the plan's requests, and waits for them.
  // They are one sequence of the backend (backend.h) by the size of the batch: all their parameters
  // lie in the step's buffers.
  // `times` null: nothing is timed.
  absl::Status Run(int64_t batch_step, std::span<const StepRow> rows, KernelTimes* times);

  void set_inspector(CsaLayerInspector inspector) { inspector_ = std::move(inspector); }

  // Of the ballast for a batch.
  int64_t BallastFlop(int64_t batch) const;
  int64_t BallastWeightBytes(int64_t batch) const;

 private:
  struct Timed {
    Phase phase;
    int64_t begin;
    int64_t end;
  };
  struct Products {  // of one batch size
    std::vector<GemmShape> swa, csa, hca, head;
    std::vector<Timed> timed;  // marks of its kernels, kept while the backend plays them
  };

  DecodeStep(const ExecutionPlan& plan, Backend& backend, const KvStore& store)
      : plan_(plan), backend_(backend), store_(store) {}
  absl::Status MakeProducts();
  absl::Status Allocate();
  absl::Status FillStatic();
  absl::Status Upload(std::span<const StepRow> rows);
  absl::Status RunKernels(int64_t batch_step, std::span<const StepRow> rows);
  absl::Status RunLayers(int64_t batch_step, std::span<const StepRow> rows);
  absl::Status RunBallast(size_t place, std::span<const GemmShape> products);
  absl::Status RunCsa(int64_t batch_step, int32_t layer, std::span<const StepRow> rows);
  absl::Status RunHca(int32_t layer, std::span<const StepRow> rows);
  absl::Status RunSwa(int32_t layer, std::span<const StepRow> rows);
  AttentionParams AttentionOf(int32_t layer_place, std::span<const StepRow> rows) const;
  const std::vector<GemmShape>& ProductsOf(LayerKind kind) const;
  void CountBytes(std::span<const StepRow> rows, KernelTimes* times) const;
  // Runs `op` between two marks where a step is timed, under its phase's tag where it is traced.
  template <typename Op>
  absl::Status Time(Phase phase, Op op);
  template <typename T>
  absl::StatusOr<T*> Make(const std::string& name, int64_t count);

  const ExecutionPlan& plan_;
  Backend& backend_;
  const KvStore& store_;
  std::vector<LayerKind> order_;
  std::vector<int32_t> ballasts_;   // [place in order_], then the head's
  std::vector<Products> products_;  // [batch]
  Products* now_ = nullptr;         // of the step's batch
  bool timing_ = false;
  bool tracing_ = false;
  int64_t step_ = 0;
  CsaLayerInspector inspector_;

  // On the device. Rows are requests of the batch.
  uint8_t* index_q_ = nullptr;       // [CSA layer][row][64][128]
  float* head_weights_ = nullptr;    // [row][64]
  int32_t* key_pages_ = nullptr;     // [row][active_pages_max] pool pages of index keys
  int32_t* pages_ = nullptr;         // [row][active_pages_max]
  int32_t* blocks_ = nullptr;        // [row][active_pages_max]
  int32_t* entry_counts_ = nullptr;  // [row]
  float* logits_ = nullptr;          // [row][64 * active_pages_max]
  int32_t* cells_ = nullptr;         // [row][top_k]
  int32_t* entries_ = nullptr;       // [row][top_k]
  int32_t* hca_pages_ = nullptr;     // [row][hca_pages_max_]
  int32_t* hca_counts_ = nullptr;    // [row]
  int32_t* window_cells_ = nullptr;  // [row][window_tokens]
  uint16_t* q_ = nullptr;            // [row][64][512]
  uint16_t* out_ = nullptr;          // [row][64][512]
  float* lse_ = nullptr;             // [row][64]
  int32_t hca_pages_max_ = 1;

  // The same on the host, to be copied over.
  std::vector<uint8_t> index_q_host_;
  std::vector<int32_t> key_pages_host_, pages_host_, blocks_host_, entry_counts_host_;
  std::vector<int32_t> hca_pages_host_, hca_counts_host_, window_cells_host_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_DECODE_STEP_H_
