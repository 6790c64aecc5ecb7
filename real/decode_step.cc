#include "real/decode_step.h"

#include <algorithm>

#include "kernels/fp8.h"
#include "real/backbone.h"
#include "real/phase_range.h"
#include "sim/base/check.h"
#include "sim/base/rng.h"
#include "sim/base/status_macros.h"

namespace tierscope {
namespace {

constexpr float kAttentionScale = 0.04419417f;  // 1 / sqrt(512)
constexpr int64_t kEntryBytes = kKvRowBytes + kKvScaleBytes;
constexpr int64_t kKeyBytes = kIndexPageBytes / kPageEntries;

template <typename T>
int64_t BytesOf(const std::vector<T>& values) {
  return static_cast<int64_t>(values.size() * sizeof(T));
}

size_t Size(int64_t count) { return static_cast<size_t>(count); }

}  // namespace

template <typename Op>
absl::Status DecodeStep::Time(Phase phase, Op op) {
  const PhaseRange range(phase, step_);
  if (tracing_) backend_.Tag(ActivityTag(phase, step_, /*tick=*/-1));
  const int64_t begin = timing_ ? backend_.Mark(Stream::kDecode) : 0;
  TIERSCOPE_RETURN_IF_ERROR(op());
  if (timing_) now_->timed.push_back({phase, begin, backend_.Mark(Stream::kDecode)});
  if (tracing_) backend_.Tag(0);
  return absl::OkStatus();
}

template <typename T>
absl::StatusOr<T*> DecodeStep::Make(const std::string& name, int64_t count) {
  TIERSCOPE_ASSIGN_OR_RETURN(
      uint8_t * memory,
      backend_.Allocate(name, Arena::kDevice,
                        std::max<int64_t>(1, count) * static_cast<int64_t>(sizeof(T))));
  return reinterpret_cast<T*>(memory);
}

absl::StatusOr<std::unique_ptr<DecodeStep>> DecodeStep::Make(const ExecutionPlan& plan,
                                                             Backend& backend,
                                                             const KvStore& store) {
  std::unique_ptr<DecodeStep> step(new DecodeStep(plan, backend, store));
  TIERSCOPE_RETURN_IF_ERROR(step->MakeProducts());
  TIERSCOPE_RETURN_IF_ERROR(step->Allocate());
  TIERSCOPE_RETURN_IF_ERROR(step->FillStatic());
  return step;
}

absl::Status DecodeStep::MakeProducts() {
  const Scenario& scenario = plan_.scenario;
  order_ = LayerOrder(scenario.model());
  for (int32_t batch = 0; batch <= plan_.request_count(); ++batch) {
    Products products;
    if (batch > 0) {
      products.swa = LayerProducts(scenario, LayerKind::kSwa, batch);
      products.csa = LayerProducts(scenario, LayerKind::kCsa, batch);
      products.hca = LayerProducts(scenario, LayerKind::kHca, batch);
      products.head = HeadProducts(scenario, batch);
    }
    products_.push_back(std::move(products));
  }
  now_ = &products_.back();
  // Fewer requests can have more rows in a group of experts than the whole batch has.
  const auto largest = [&](std::vector<GemmShape> Products::*kind) {
    std::vector<GemmShape> shapes = products_.back().*kind;
    for (const Products& products : products_) {
      const std::vector<GemmShape>& other = products.*kind;
      for (size_t i = 0; i < other.size(); ++i) {
        shapes[i].rows = std::max(shapes[i].rows, other[i].rows);
      }
    }
    return shapes;
  };
  for (const LayerKind kind : order_) {
    const auto shapes = largest(kind == LayerKind::kCsa   ? &Products::csa
                                : kind == LayerKind::kHca ? &Products::hca
                                                          : &Products::swa);
    TIERSCOPE_ASSIGN_OR_RETURN(const int32_t ballast, backend_.MakeBallast("weights", shapes));
    ballasts_.push_back(ballast);
  }
  TIERSCOPE_ASSIGN_OR_RETURN(const int32_t head,
                             backend_.MakeBallast("weights", largest(&Products::head)));
  ballasts_.push_back(head);
  return absl::OkStatus();
}

absl::Status DecodeStep::Allocate() {
  const int64_t rows = plan_.request_count();
  const int64_t active = plan_.active_pages_max;
  for (const RequestPlan& request : plan_.requests) {
    hca_pages_max_ = std::max(hca_pages_max_, request.hca_page_count);
  }
  const int64_t query = int64_t{kNativeHeads} * kIndexDim;
  const int64_t heads = int64_t{kAttentionHeads};
  TIERSCOPE_ASSIGN_OR_RETURN(index_q_,
                             Make<uint8_t>("activations", plan_.csa_layers * rows * query));
  TIERSCOPE_ASSIGN_OR_RETURN(head_weights_, Make<float>("activations", rows * kNativeHeads));
  TIERSCOPE_ASSIGN_OR_RETURN(key_pages_, Make<int32_t>("step lists", rows * active));
  TIERSCOPE_ASSIGN_OR_RETURN(pages_, Make<int32_t>("step lists", rows * active));
  TIERSCOPE_ASSIGN_OR_RETURN(blocks_, Make<int32_t>("step lists", rows * active));
  TIERSCOPE_ASSIGN_OR_RETURN(entry_counts_, Make<int32_t>("step lists", rows));
  TIERSCOPE_ASSIGN_OR_RETURN(logits_, Make<float>("activations", rows * active * kPageEntries));
  TIERSCOPE_ASSIGN_OR_RETURN(cells_, Make<int32_t>("step lists", rows * plan_.top_k));
  TIERSCOPE_ASSIGN_OR_RETURN(entries_, Make<int32_t>("step lists", rows * plan_.top_k));
  TIERSCOPE_ASSIGN_OR_RETURN(hca_pages_, Make<int32_t>("step lists", rows * hca_pages_max_));
  TIERSCOPE_ASSIGN_OR_RETURN(hca_counts_, Make<int32_t>("step lists", rows));
  TIERSCOPE_ASSIGN_OR_RETURN(window_cells_,
                             Make<int32_t>("step lists", rows * plan_.window_tokens));
  TIERSCOPE_ASSIGN_OR_RETURN(q_, Make<uint16_t>("activations", rows * heads * kKvDim));
  TIERSCOPE_ASSIGN_OR_RETURN(out_, Make<uint16_t>("activations", rows * heads * kKvDim));
  TIERSCOPE_ASSIGN_OR_RETURN(lse_, Make<float>("activations", rows * heads));
  index_q_host_.resize(Size(plan_.csa_layers * rows * query));
  key_pages_host_.resize(Size(rows * active));
  pages_host_.resize(Size(rows * active));
  blocks_host_.resize(Size(rows * active));
  entry_counts_host_.resize(Size(rows));
  hca_pages_host_.resize(Size(rows * hca_pages_max_));
  hca_counts_host_.resize(Size(rows));
  window_cells_host_.resize(Size(rows * plan_.window_tokens));
  for (Products& products : products_) products.timed.reserve(4 * order_.size() + 4);
  return absl::OkStatus();
}

// Queries of attention decide nothing, so they stay as they are.
absl::Status DecodeStep::FillStatic() {
  Rng rng(plan_.scenario.seed(), /*stream=*/0x71);
  std::vector<uint16_t> q(Size(int64_t{plan_.request_count()} * kAttentionHeads * kKvDim));
  for (uint16_t& value : q) {
    value = FloatToBf16(static_cast<float>(2.0 * rng.NextDouble() - 1.0));
  }
  return backend_.Copy(Stream::kDecode, q_, q.data(), BytesOf(q));
}

absl::Status DecodeStep::Upload(std::span<const StepRow> rows) {
  const int64_t query = int64_t{kNativeHeads} * kIndexDim;
  const auto row_count = static_cast<int64_t>(rows.size());
  for (int64_t r = 0; r < row_count; ++r) {
    const StepRow& row = rows[Size(r)];
    const RequestPlan& own = plan_.requests[Size(row.request)];
    TIERSCOPE_CHECK(row.pages.size() == row.blocks.size() &&
                    row.pages.size() <= Size(plan_.active_pages_max));
    for (int32_t layer = 0; layer < plan_.csa_layers; ++layer) {
      const IndexQuery index = row.content->NativeQuery(static_cast<int32_t>(row.own_step), layer);
      std::copy_n(index.codes, query, index_q_host_.begin() + (layer * row_count + r) * query);
      if (layer == 0) {
        TIERSCOPE_RETURN_IF_ERROR(backend_.Copy(Stream::kDecode, head_weights_ + r * kNativeHeads,
                                                index.weights, kNativeHeads * 4));
      }
    }
    const int64_t list = r * plan_.active_pages_max;
    for (size_t i = 0; i < row.pages.size(); ++i) {
      key_pages_host_[Size(list) + i] = own.page_begin + row.pages[i];
      pages_host_[Size(list) + i] = row.pages[i];
      blocks_host_[Size(list) + i] = row.blocks[i];
    }
    entry_counts_host_[Size(r)] = static_cast<int32_t>(row.active_entries);
    for (int32_t i = 0; i < own.hca_page_count; ++i) {
      hca_pages_host_[Size(r * hca_pages_max_ + i)] = own.hca_page_begin + i;
    }
    hca_counts_host_[Size(r)] = static_cast<int32_t>(plan_.HcaEntriesAt(own, row.own_step));
    const int64_t tokens = own.context_tokens + row.own_step + 1;
    for (int32_t i = 0; i < plan_.window_tokens; ++i) {
      const int64_t token = tokens - plan_.window_tokens + i;
      window_cells_host_[Size(r * plan_.window_tokens + i)] =
          token < 0 ? -1 : store_.WindowCell(row.request, token);
    }
  }
  const auto copy = [&](auto* target, const auto& source) {
    return backend_.Copy(Stream::kDecode, target, source.data(), BytesOf(source));
  };
  TIERSCOPE_RETURN_IF_ERROR(copy(index_q_, index_q_host_));
  TIERSCOPE_RETURN_IF_ERROR(copy(key_pages_, key_pages_host_));
  TIERSCOPE_RETURN_IF_ERROR(copy(pages_, pages_host_));
  TIERSCOPE_RETURN_IF_ERROR(copy(blocks_, blocks_host_));
  TIERSCOPE_RETURN_IF_ERROR(copy(entry_counts_, entry_counts_host_));
  TIERSCOPE_RETURN_IF_ERROR(copy(hca_pages_, hca_pages_host_));
  TIERSCOPE_RETURN_IF_ERROR(copy(hca_counts_, hca_counts_host_));
  return copy(window_cells_, window_cells_host_);
}

absl::Status DecodeStep::RunBallast(size_t place, std::span<const GemmShape> products) {
  return Time(Phase::kBallast,
              [&] { return backend_.Ballast(Stream::kDecode, ballasts_[place], products); });
}

AttentionParams DecodeStep::AttentionOf(int32_t layer_place, std::span<const StepRow> rows) const {
  AttentionParams params;
  params.request_count = static_cast<int32_t>(rows.size());
  params.scale = kAttentionScale;
  params.q = q_;
  params.out = out_;
  params.lse = lse_;
  if (plan_.window_tokens > 0) {
    params.window_pool = store_.WindowPool(layer_place);
    params.window_cells = window_cells_;
    params.window_max = plan_.window_tokens;
  }
  return params;
}

absl::Status DecodeStep::RunCsa(int64_t batch_step, int32_t layer, std::span<const StepRow> rows) {
  const auto row_count = static_cast<int32_t>(rows.size());
  NativeScoreParams score;
  score.input.request_count = row_count;
  score.input.pages_max = plan_.active_pages_max;
  score.input.q = index_q_ + int64_t{layer} * row_count * kNativeHeads * kIndexDim;
  score.input.head_weights = head_weights_;
  score.input.keys[0] = store_.Keys(layer);
  score.input.pages = key_pages_;
  score.input.entry_counts = entry_counts_;
  score.logits = logits_;
  TIERSCOPE_RETURN_IF_ERROR(
      Time(Phase::kNativeScore, [&] { return backend_.NativeScore(Stream::kDecode, score); }));
  TopEntriesParams top;
  top.request_count = row_count;
  top.pages_max = plan_.active_pages_max;
  top.top_k = plan_.top_k;
  top.logits = logits_;
  top.entry_counts = entry_counts_;
  top.pages = pages_;
  top.blocks = blocks_;
  top.entries = entries_;
  top.cells = cells_;
  TIERSCOPE_RETURN_IF_ERROR(
      Time(Phase::kNativeTopK, [&] { return backend_.TopEntries(Stream::kDecode, top); }));
  AttentionParams attention = AttentionOf(layer, rows);
  attention.pool = store_.ReservePool(layer);
  attention.cells = cells_;
  attention.cells_max = plan_.top_k;
  TIERSCOPE_RETURN_IF_ERROR(
      Time(Phase::kCsaAttention, [&] { return backend_.Attention(Stream::kDecode, attention); }));
  if (inspector_ == nullptr) return absl::OkStatus();
  TIERSCOPE_RETURN_IF_ERROR(backend_.Synchronize(Stream::kDecode));
  inspector_({batch_step, layer, rows, &score, &top, &attention});
  return absl::OkStatus();
}

absl::Status DecodeStep::RunHca(int32_t layer, std::span<const StepRow> rows) {
  AttentionParams attention = AttentionOf(plan_.csa_layers + layer, rows);
  attention.pool = store_.HcaPool(layer);
  attention.pages = hca_pages_;
  attention.entry_counts = hca_counts_;
  attention.pages_max = hca_pages_max_;
  return Time(Phase::kHcaAttention, [&] { return backend_.Attention(Stream::kDecode, attention); });
}

absl::Status DecodeStep::RunSwa(int32_t layer, std::span<const StepRow> rows) {
  if (plan_.window_tokens == 0) return absl::OkStatus();
  const int32_t place = plan_.csa_layers + plan_.hca_layers + layer;
  AttentionParams attention = AttentionOf(place, rows);
  attention.pool = store_.WindowPool(place);
  attention.cells = window_cells_;
  attention.cells_max = plan_.window_tokens;
  attention.window_cells = nullptr;
  attention.window_max = 0;
  return Time(Phase::kSwaAttention, [&] { return backend_.Attention(Stream::kDecode, attention); });
}

const std::vector<GemmShape>& DecodeStep::ProductsOf(LayerKind kind) const {
  switch (kind) {
    case LayerKind::kCsa:
      return now_->csa;
    case LayerKind::kHca:
      return now_->hca;
    case LayerKind::kSwa:
      return now_->swa;
  }
  return now_->swa;
}

absl::Status DecodeStep::RunKernels(int64_t batch_step, std::span<const StepRow> rows) {
  const auto issue = [&] {
    now_->timed.clear();
    return RunLayers(batch_step, rows);
  };
  if (inspector_ != nullptr) return issue();  // it waits between two layers
  const int64_t key = 2 * static_cast<int64_t>(rows.size()) + (timing_ ? 1 : 0);
  const absl::StatusOr<bool> recording = backend_.BeginSequence(Stream::kDecode, key);
  absl::Status status = recording.status();
  if (recording.ok() && *recording) status = issue();
  const absl::Status ended = backend_.EndSequence(Stream::kDecode);
  return status.ok() ? ended : status;
}

absl::Status DecodeStep::RunLayers(int64_t batch_step, std::span<const StepRow> rows) {
  int32_t csa = 0, hca = 0, swa = 0;
  for (size_t place = 0; place < order_.size(); ++place) {
    TIERSCOPE_RETURN_IF_ERROR(RunBallast(place, ProductsOf(order_[place])));
    switch (order_[place]) {
      case LayerKind::kCsa:
        TIERSCOPE_RETURN_IF_ERROR(RunCsa(batch_step, csa++, rows));
        break;
      case LayerKind::kHca:
        TIERSCOPE_RETURN_IF_ERROR(RunHca(hca++, rows));
        break;
      case LayerKind::kSwa:
        TIERSCOPE_RETURN_IF_ERROR(RunSwa(swa++, rows));
        break;
    }
  }
  return RunBallast(order_.size(), now_->head);
}

// What the kernels have to read once: weights, keys, entries; of top-k the logits.
void DecodeStep::CountBytes(std::span<const StepRow> rows, KernelTimes* times) const {
  const auto batch = static_cast<int64_t>(rows.size());
  times->Of(Phase::kBallast).bytes = BallastWeightBytes(batch);
  int64_t active = 0, chosen = 0, hca = 0;
  for (const StepRow& row : rows) {
    active += row.active_entries;
    chosen += std::min<int64_t>(row.active_entries, plan_.top_k);
    hca += plan_.HcaEntriesAt(plan_.requests[Size(row.request)], row.own_step);
  }
  const int64_t window = batch * plan_.window_tokens;
  times->Of(Phase::kNativeScore).bytes = active * kKeyBytes * plan_.csa_layers;
  times->Of(Phase::kNativeTopK).bytes = active * 4 * plan_.csa_layers;
  times->Of(Phase::kCsaAttention).bytes = (chosen + window) * kEntryBytes * plan_.csa_layers;
  times->Of(Phase::kHcaAttention).bytes = (hca + window) * kEntryBytes * plan_.hca_layers;
  times->Of(Phase::kSwaAttention).bytes = window * kEntryBytes * plan_.swa_layers;
}

absl::Status DecodeStep::Run(int64_t batch_step, std::span<const StepRow> rows,
                             KernelTimes* times) {
  TIERSCOPE_CHECK(!rows.empty() && rows.size() < products_.size());
  timing_ = times != nullptr;
  tracing_ = backend_.tracing();
  step_ = batch_step;
  now_ = &products_[rows.size()];
  TIERSCOPE_RETURN_IF_ERROR(Upload(rows));
  TIERSCOPE_RETURN_IF_ERROR(RunKernels(batch_step, rows));
  TIERSCOPE_RETURN_IF_ERROR(backend_.Synchronize(Stream::kDecode));
  if (!timing_) return absl::OkStatus();
  *times = KernelTimes();
  for (const Timed& timed : now_->timed) {
    KernelTimes::Family& family = times->Of(timed.phase);
    const int64_t begin = backend_.NsOfMark(timed.begin);
    if (family.duration_ns == 0) family.begin_ns = begin;
    family.duration_ns += backend_.NsOfMark(timed.end) - begin;
  }
  CountBytes(rows, times);
  return absl::OkStatus();
}

int64_t DecodeStep::BallastFlop(int64_t batch) const {
  const Products& p = products_[Size(batch)];
  return plan_.csa_layers * GemmFlop(p.csa) + plan_.hca_layers * GemmFlop(p.hca) +
         plan_.swa_layers * GemmFlop(p.swa) + GemmFlop(p.head);
}

int64_t DecodeStep::BallastWeightBytes(int64_t batch) const {
  const Products& p = products_[Size(batch)];
  const double each = backend_.device().weight_bytes_each;
  return plan_.csa_layers * WeightBytes(p.csa, each) + plan_.hca_layers * WeightBytes(p.hca, each) +
         plan_.swa_layers * WeightBytes(p.swa, each) + WeightBytes(p.head, each);
}

}  // namespace tierscope
