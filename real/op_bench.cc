#include "real/op_bench.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

#include "kernels/paged.h"
#include "real/backbone.h"
#include "real/op_content.h"
#include "sim/base/check.h"
#include "sim/base/status_macros.h"
#include "sim/base/units.h"

namespace tierscope {
namespace {

constexpr int64_t kLaunchSequence = 1 << 20;  // keys beside those of steps
constexpr int32_t kSelectColumns = 16;        // page_select.h: columns are a multiple of it

int32_t Last(const std::vector<double>& axis) { return static_cast<int32_t>(axis.back()); }

int32_t RoundedUp(int32_t pages) { return CeilDiv(pages, kSelectColumns) * kSelectColumns; }

}  // namespace

OpBench::OpBench(Backend* backend, const Scenario& scenario, const OpGrid& grid)
    : backend_(backend),
      scenario_(scenario),
      grid_(grid),
      batch_max_(std::max(Last(grid.batches), Last(grid.job_batches))),
      history_pages_(RoundedUp(PagesOfEntries(Last(grid.history_entries)))),
      active_pages_(PagesOfEntries(Last(grid.active_entries))),
      hca_pages_(PagesOfEntries(Last(grid.hca_attended))),
      top_k_(scenario.model().top_k()),
      cells_max_(std::max(top_k_, Last(grid.csa_attended) - scenario.model().window_tokens())),
      window_(scenario.model().window_tokens()),
      page_bytes_(scenario.model().csa_layers() * kKvPageLayerBytes),
      copy_bytes_(grid.device_copy_bytes) {}

absl::StatusOr<std::unique_ptr<OpBench>> OpBench::Make(Backend* backend, const Scenario& scenario,
                                                       const OpGrid& grid) {
  const Model& model = scenario.model();
  const std::pair<const char*, bool> shapes[] = {
      {"index_heads", model.index_heads() == kNativeHeads},
      {"memory_index_heads", model.memory_index_heads() == kMemoryHeads},
      {"index_head_dim", model.index_head_dim() == kIndexDim},
      {"head_dim", model.head_dim() == kKvDim},
      {"target_layers", model.target_layers() == kMemoryLayers},
      {"top_k", model.top_k() <= kTopEntriesMax}};
  for (const auto& [field, fits] : shapes) {
    if (fits) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "model.", field, ": the kernels have another; measure with a model such as v4_tiny"));
  }
  std::unique_ptr<OpBench> bench(new OpBench(backend, scenario, grid));
  TIERSCOPE_RETURN_IF_ERROR(bench->AllocateAll());
  TIERSCOPE_RETURN_IF_ERROR(bench->MakeBallasts());
  return bench;
}

template <typename T>
absl::Status OpBench::Get(const char* name, int64_t count, T** memory, Arena arena) {
  TIERSCOPE_ASSIGN_OR_RETURN(
      uint8_t * bytes, backend_->Allocate(name, arena, count * static_cast<int64_t>(sizeof(T))));
  *memory = reinterpret_cast<T*>(bytes);
  return absl::OkStatus();
}

template <typename T>
absl::Status OpBench::Put(T* target, const std::vector<T>& values) {
  return backend_->Copy(Stream::kDecode, target, values.data(),
                        static_cast<int64_t>(values.size() * sizeof(T)));
}

absl::Status OpBench::PutPages(uint8_t* target, const std::vector<uint8_t>& page, int64_t count) {
  for (int64_t i = 0; i < count; ++i, target += page.size()) {
    TIERSCOPE_RETURN_IF_ERROR(Put(target, page));
  }
  return absl::OkStatus();
}

absl::Status OpBench::AllocateAll() {
  const int64_t batch = batch_max_;
  const int64_t history = batch * history_pages_;  // pages
  const int64_t lists = batch * std::max({history_pages_, active_pages_, hca_pages_});
  for (uint8_t*& keys : keys_) {
    TIERSCOPE_RETURN_IF_ERROR(Get("index keys", history * kIndexPageBytes, &keys));
    TIERSCOPE_RETURN_IF_ERROR(PutPages(keys, KeyPage(), history));
  }
  const int64_t memory_rows = batch * kMemoryLayers * kMemoryHeads;
  const int64_t native_rows = batch * kNativeHeads;
  TIERSCOPE_RETURN_IF_ERROR(Get("queries", memory_rows * kIndexDim, &memory_q_));
  TIERSCOPE_RETURN_IF_ERROR(Get("queries", native_rows * kIndexDim, &native_q_));
  TIERSCOPE_RETURN_IF_ERROR(Get("queries", memory_rows, &memory_weights_));
  TIERSCOPE_RETURN_IF_ERROR(Get("queries", native_rows, &native_weights_));
  TIERSCOPE_RETURN_IF_ERROR(Put(memory_q_, Fp8Values(memory_rows * kIndexDim)));
  TIERSCOPE_RETURN_IF_ERROR(Put(native_q_, Fp8Values(native_rows * kIndexDim)));
  TIERSCOPE_RETURN_IF_ERROR(
      Put(memory_weights_, std::vector<float>(static_cast<size_t>(memory_rows), 0.01f)));
  TIERSCOPE_RETURN_IF_ERROR(
      Put(native_weights_, std::vector<float>(static_cast<size_t>(native_rows), 0.01f)));
  TIERSCOPE_RETURN_IF_ERROR(Get("lists", lists, &pages_));
  TIERSCOPE_RETURN_IF_ERROR(Get("lists", batch, &counts_));
  TIERSCOPE_RETURN_IF_ERROR(Get("lists", lists, &density_));
  TIERSCOPE_RETURN_IF_ERROR(Get("lists", lists, &held_));
  TIERSCOPE_RETURN_IF_ERROR(Get("lists", lists, &selected_));
  TIERSCOPE_RETURN_IF_ERROR(Get("lists", lists, &recall_));
  TIERSCOPE_RETURN_IF_ERROR(Get("lists", lists, &evict_));
  TIERSCOPE_RETURN_IF_ERROR(Get("lists", batch * kSelectCounts, &select_counts_));
  TIERSCOPE_RETURN_IF_ERROR(Get("logits", batch * active_pages_ * kPageEntries, &logits_));
  TIERSCOPE_RETURN_IF_ERROR(Get("lists", batch * top_k_, &entries_));
  TIERSCOPE_RETURN_IF_ERROR(Get("lists", batch * cells_max_, &cells_));
  TIERSCOPE_RETURN_IF_ERROR(Get("lists", batch * std::max(1, window_), &window_cells_));
  PlainBytes bytes;
  TIERSCOPE_RETURN_IF_ERROR(Put(density_, Densities(lists, &bytes)));
  std::vector<float> logits(static_cast<size_t>(batch * active_pages_ * kPageEntries));
  for (float& logit : logits) logit = static_cast<float>(bytes.Next() * 256 + bytes.Next());
  TIERSCOPE_RETURN_IF_ERROR(Put(logits_, logits));

  const int64_t copied = 2 * grid_.pages_copied.back();
  const int64_t attended = batch * std::max(hca_pages_, PagesOfEntries(Last(grid_.csa_attended)));
  // A layer in the middle of the grid attends to what its top-k chose.
  const int64_t chosen_from =
      static_cast<int64_t>(grid_.batches[grid_.batches.size() / 2]) *
      PagesOfEntries(static_cast<int32_t>(grid_.active_entries[grid_.active_entries.size() / 2]));
  reserve_pages_ = static_cast<int32_t>(std::max(attended, chosen_from));
  TIERSCOPE_RETURN_IF_ERROR(Get("reserve", reserve_pages_ * page_bytes_, &reserve_));
  const int64_t page_layers = page_bytes_ / kKvPageLayerBytes;
  TIERSCOPE_RETURN_IF_ERROR(PutPages(reserve_, KvPage(), reserve_pages_ * page_layers));
  // What recalls fill is read by no attention beside them.
  TIERSCOPE_RETURN_IF_ERROR(Get("recalled", copied * page_bytes_, &recalled_));
  TIERSCOPE_RETURN_IF_ERROR(Get("cold pool", copied * page_bytes_, &cold_pool_, Arena::kHost));
  TIERSCOPE_RETURN_IF_ERROR(PutPages(cold_pool_, KvPage(), copied * page_layers));
  const int64_t window_pages = batch * PagesOfEntries(std::max(1, window_));
  TIERSCOPE_RETURN_IF_ERROR(Get("window", window_pages * kKvPageLayerBytes, &window_pool_));
  TIERSCOPE_RETURN_IF_ERROR(PutPages(window_pool_, KvPage(), window_pages));
  std::vector<int32_t> window_cells(static_cast<size_t>(batch * window_));
  std::iota(window_cells.begin(), window_cells.end(), 0);
  TIERSCOPE_RETURN_IF_ERROR(Put(window_cells_, window_cells));
  TIERSCOPE_RETURN_IF_ERROR(Get("copy", 2 * copy_bytes_, &copy_));

  const int64_t q = batch * kAttentionHeads * kKvDim;
  TIERSCOPE_RETURN_IF_ERROR(Get("queries", q, &attention_q_));
  TIERSCOPE_RETURN_IF_ERROR(Get("attention out", q, &attention_out_));
  TIERSCOPE_RETURN_IF_ERROR(Get("attention out", batch * kAttentionHeads, &lse_));
  TIERSCOPE_RETURN_IF_ERROR(Put(attention_q_, Bf16Values(q)));
  return backend_->Synchronize(Stream::kDecode);
}

// Every layer has weights of its own: as many bytes go through the caches as in a step.
absl::Status OpBench::MakeBallasts() {
  const auto make = [&](const std::vector<GemmShape>& products) -> absl::Status {
    TIERSCOPE_ASSIGN_OR_RETURN(const int32_t ballast, backend_->MakeBallast("weights", products));
    ballasts_.push_back(ballast);
    return absl::OkStatus();
  };
  for (const LayerKind kind : LayerOrder(scenario_.model())) {
    TIERSCOPE_RETURN_IF_ERROR(make(LayerProducts(scenario_, kind, batch_max_)));
  }
  return make(HeadProducts(scenario_, batch_max_));
}

template <typename Run>
absl::StatusOr<int64_t> OpBench::Timed(Stream stream, Run run) {
  const int64_t begin = backend_->Mark(stream);
  TIERSCOPE_RETURN_IF_ERROR(run());
  const int64_t end = backend_->Mark(stream);
  TIERSCOPE_RETURN_IF_ERROR(backend_->Synchronize(stream));
  const int64_t begin_ns = backend_->NsOfMark(begin);
  return std::max<int64_t>(1, backend_->NsOfMark(end) - begin_ns);
}

// Layer by layer behind an attention that takes the caches, as in a step; its time is not in it.
absl::StatusOr<int64_t> OpBench::TimeBallast(int32_t batch) {
  std::vector<std::vector<GemmShape>> products;
  for (const LayerKind kind : LayerOrder(scenario_.model())) {
    products.push_back(LayerProducts(scenario_, kind, batch));
  }
  products.push_back(HeadProducts(scenario_, batch));
  TIERSCOPE_RETURN_IF_ERROR(SetCells(Last(grid_.csa_attended), batch));
  int64_t sum_ns = 0;
  for (size_t layer = 0; layer < products.size(); ++layer) {
    TIERSCOPE_RETURN_IF_ERROR(RunAttention(Last(grid_.csa_attended), batch, /*cells=*/true));
    TIERSCOPE_ASSIGN_OR_RETURN(const int64_t ns, Timed(Stream::kDecode, [&] {
                                 return backend_->Ballast(Stream::kDecode, ballasts_[layer],
                                                          products[layer]);
                               }));
    sum_ns += ns;
  }
  return sum_ns;
}

absl::Status OpBench::RunOneLayer(Stream stream) {
  const LayerKind kind = LayerOrder(scenario_.model()).back();
  return backend_->Ballast(stream, ballasts_[ballasts_.size() - 2],
                           LayerProducts(scenario_, kind, 1));
}

// Lists of pages that the op reads: request r's are its own, one after the other.
absl::Status OpBench::SetCounts(int32_t entries, int32_t batch) {
  const int32_t pages = PagesOfEntries(entries);
  std::vector<int32_t> chosen, held;
  for (int32_t r = 0; r < batch; ++r) {
    for (int32_t i = 0; i < pages; ++i) {
      chosen.push_back(r * pages + (i * 7 + 3) % pages);
      held.push_back(r * pages + i);
    }
  }
  TIERSCOPE_RETURN_IF_ERROR(
      Put(counts_, std::vector<int32_t>(static_cast<size_t>(batch), entries)));
  TIERSCOPE_RETURN_IF_ERROR(Put(pages_, chosen));
  TIERSCOPE_RETURN_IF_ERROR(Put(held_, held));
  return backend_->Synchronize(Stream::kDecode);  // both streams read them
}

// Cells that a CSA layer attends to, all over the request's blocks.
absl::Status OpBench::SetCells(int32_t attended, int32_t batch) {
  const int32_t own = std::max(0, attended - window_);
  const int32_t blocks = std::max(1, reserve_pages_ / batch);
  std::vector<int32_t> cells;
  for (int32_t i = 0; i < batch * own; ++i) {
    const int32_t place = i % own;
    const int32_t block = i / own * blocks + place * 5 % blocks;
    cells.push_back(block * kPageEntries + place * 11 % kPageEntries);
  }
  TIERSCOPE_RETURN_IF_ERROR(Put(cells_, cells));
  return backend_->Synchronize(Stream::kDecode);
}

absl::Status OpBench::RunScore(int32_t entries, int32_t batch) {
  MemoryScoreParams params;
  params.input = {batch,           PagesOfEntries(entries),        memory_q_,
                  memory_weights_, {keys_[0], keys_[1], keys_[2]}, pages_,
                  counts_};
  params.code_cutoff = 128;
  params.density = density_;
  return backend_->MemoryScore(Stream::kSideBand, params);
}

absl::Status OpBench::RunNativeScore(int32_t entries, int32_t batch) {
  NativeScoreParams params;
  params.input = {batch,  PagesOfEntries(entries), native_q_, native_weights_, {keys_[0]}, pages_,
                  counts_};
  params.logits = logits_;
  return backend_->NativeScore(Stream::kDecode, params);
}

absl::Status OpBench::RunTopK(int32_t entries, int32_t batch) {
  TopEntriesParams params;
  params.request_count = batch;
  params.pages_max = PagesOfEntries(entries);
  params.top_k = top_k_;
  params.logits = logits_;
  params.entry_counts = counts_;
  params.pages = pages_;
  params.blocks = held_;
  params.entries = entries_;
  params.cells = cells_;
  return backend_->TopEntries(Stream::kDecode, params);
}

// With the lists that go up before it and come back behind it, as in a job.
absl::Status OpBench::RunSelect(int32_t entries, int32_t batch) {
  PageSelectParams params;
  params.request_count = batch;
  params.pages_max = RoundedUp(PagesOfEntries(entries));
  const int64_t list_bytes = int64_t{batch} * params.pages_max * int64_t{sizeof(int32_t)};
  lists_host_.resize(static_cast<size_t>(batch) * static_cast<size_t>(params.pages_max), -1);
  TIERSCOPE_RETURN_IF_ERROR(
      backend_->Copy(Stream::kSideBand, recall_, lists_host_.data(), list_bytes));
  params.kmax = std::min(scenario_.policy().page_kmax(), reserve_pages_);
  params.reserve_blocks = reserve_pages_;
  params.sink_entries = scenario_.policy().sink_entries();
  params.recency_entries = scenario_.policy().recency_entries();
  params.density = density_;
  params.entry_counts = counts_;
  params.held_blocks = held_;
  params.selected = selected_;
  params.recall = recall_;
  params.evict = evict_;
  params.counts = select_counts_;
  TIERSCOPE_RETURN_IF_ERROR(backend_->SelectPages(Stream::kSideBand, params));
  TIERSCOPE_RETURN_IF_ERROR(
      backend_->Copy(Stream::kSideBand, lists_host_.data(), selected_, list_bytes));
  return backend_->Copy(Stream::kSideBand, lists_host_.data(), select_counts_,
                        batch * kSelectCounts * int64_t{sizeof(int32_t)});
}

absl::Status OpBench::RunAttention(int32_t attended, int32_t batch, bool cells) {
  AttentionParams params;
  const int32_t own = std::max(0, attended - window_);
  params.request_count = batch;
  params.scale = 0.04f;
  params.q = attention_q_;
  params.pool = {reserve_, cells ? page_bytes_ : kKvPageLayerBytes};
  if (cells) {
    params.cells = cells_;
    params.cells_max = own;
  } else {
    params.pages = pages_;
    params.entry_counts = counts_;
    params.pages_max = std::max(1, PagesOfEntries(own));
  }
  params.window_pool = {window_pool_, kKvPageLayerBytes};
  params.window_cells = window_cells_;
  params.window_max = window_;
  params.out = attention_out_;
  params.lse = lse_;
  return backend_->Attention(Stream::kDecode, params);
}

absl::Status OpBench::RunOp(OpTable::Op op, int32_t x, int32_t batch) {
  switch (op) {
    case OpTable::NATIVE_SCORE:
      return RunNativeScore(x, batch);
    case OpTable::NATIVE_TOP_K:
      return RunTopK(x, batch);
    case OpTable::CSA_ATTENTION:
      return RunAttention(x, batch, /*cells=*/true);
    case OpTable::HCA_ATTENTION:
      return RunAttention(x, batch, /*cells=*/false);
    case OpTable::SCORE:
      return RunScore(x, batch);
    case OpTable::SELECT:
      return RunSelect(x * kPageEntries, batch);
    default:  // not of kMeasuredOps, or timed otherwise
      break;
  }
  TIERSCOPE_CHECK(false);
}

absl::StatusOr<int64_t> OpBench::Time(OpTable::Op op, double x, double batch) {
  const auto at = static_cast<int32_t>(x);
  const auto requests = static_cast<int32_t>(batch);
  if (op == OpTable::BALLAST) return TimeBallast(requests);
  const bool sideband = op == OpTable::SCORE || op == OpTable::SELECT;
  const int32_t entries = op == OpTable::HCA_ATTENTION ? at - window_
                          : op == OpTable::SELECT      ? at * kPageEntries
                                                       : at;
  TIERSCOPE_RETURN_IF_ERROR(op == OpTable::CSA_ATTENTION ? SetCells(at, requests)
                                                         : SetCounts(entries, requests));
  TIERSCOPE_RETURN_IF_ERROR(RunOneLayer(sideband ? Stream::kSideBand : Stream::kDecode));
  return Timed(sideband ? Stream::kSideBand : Stream::kDecode,
               [&] { return RunOp(op, at, requests); });
}

// Every second page, from the first or the second on: no two are joined, and the streams have pages
// of their own.
PageTransfer OpBench::Transfer(int64_t pages, int64_t page_bytes, RecallPath path, Stream stream) {
  const int64_t first = stream == Stream::kSideBand ? 0 : 1;
  std::vector<PageMove>& moves = moves_[first];
  moves.clear();
  for (int64_t i = 0; i < pages; ++i) {
    moves.push_back({static_cast<int32_t>(2 * ((i * 5 + copies_made_) % pages) + first),
                     static_cast<int32_t>(2 * i + first)});
  }
  ++copies_made_;
  const auto pool_pages = static_cast<int32_t>(2 * grid_.pages_copied.back());
  return {{cold_pool_, recalled_, page_bytes, pool_pages, pool_pages}, moves, path};
}

absl::StatusOr<int64_t> OpBench::TimeRecall(int64_t pages, int64_t page_bytes, RecallPath path) {
  const PageTransfer transfer = Transfer(pages, page_bytes, path, Stream::kSideBand);
  TIERSCOPE_RETURN_IF_ERROR(RunOneLayer(Stream::kSideBand));
  return Timed(Stream::kSideBand, [&] { return backend_->Recall(Stream::kSideBand, transfer); });
}

absl::StatusOr<int64_t> OpBench::TimeWriteback(int64_t pages, int64_t page_bytes) {
  const PageTransfer transfer =
      Transfer(pages, page_bytes, RecallPath::kCopyEngine, Stream::kSideBand);
  TIERSCOPE_RETURN_IF_ERROR(RunOneLayer(Stream::kSideBand));
  return Timed(Stream::kSideBand, [&] { return backend_->Writeback(Stream::kSideBand, transfer); });
}

absl::StatusOr<int64_t> OpBench::TimeDeviceCopy() {
  return Timed(Stream::kSideBand, [&] {
    return backend_->Copy(Stream::kSideBand, copy_ + copy_bytes_, copy_, copy_bytes_);
  });
}

// A layer in the middle of the grid.
absl::Status OpBench::DecodeLayer() {
  const auto batch = static_cast<int32_t>(grid_.batches[grid_.batches.size() / 2]);
  const auto active = static_cast<int32_t>(grid_.active_entries[grid_.active_entries.size() / 2]);
  TIERSCOPE_RETURN_IF_ERROR(
      backend_->Ballast(Stream::kDecode, ballasts_[ballasts_.size() - 2],
                        LayerProducts(scenario_, LayerOrder(scenario_.model()).back(), batch)));
  TIERSCOPE_RETURN_IF_ERROR(RunNativeScore(active, batch));
  TIERSCOPE_RETURN_IF_ERROR(RunTopK(active, batch));
  return RunAttention(Last(grid_.csa_attended), batch, /*cells=*/true);
}

absl::StatusOr<int64_t> OpBench::TimeLaunch(Launch launch, int32_t ops) {
  TIERSCOPE_RETURN_IF_ERROR(SetCounts(kPageEntries, 1));
  const auto issue = [&]() -> absl::Status {
    for (int32_t i = 0; i < ops; ++i) {
      TIERSCOPE_RETURN_IF_ERROR(RunNativeScore(kPageEntries, 1));
    }
    return absl::OkStatus();
  };
  const auto play = [&]() -> absl::Status {
    const absl::StatusOr<bool> recording =
        backend_->BeginSequence(Stream::kDecode, kLaunchSequence + ops);
    absl::Status status = recording.status();
    if (recording.ok() && *recording) status = issue();
    const absl::Status ended = backend_->EndSequence(Stream::kDecode);
    return status.ok() ? ended : status;
  };
  const bool sequence = launch == Launch::kSequence;
  if (sequence) TIERSCOPE_RETURN_IF_ERROR(play());  // now it is kept
  TIERSCOPE_RETURN_IF_ERROR(backend_->Synchronize(Stream::kDecode));
  const int64_t begin = backend_->HostNs();
  TIERSCOPE_RETURN_IF_ERROR(sequence ? play() : issue());
  const int64_t end = backend_->HostNs();
  TIERSCOPE_RETURN_IF_ERROR(backend_->Synchronize(Stream::kDecode));
  return std::max<int64_t>(1, end - begin);
}

absl::StatusOr<OpBench::Beside> OpBench::TimeBeside(Pair pair, int32_t rounds) {
  const auto batch = static_cast<int32_t>(grid_.batches[grid_.batches.size() / 2]);
  const auto entries = static_cast<int32_t>(grid_.active_entries[grid_.active_entries.size() / 2]);
  TIERSCOPE_RETURN_IF_ERROR(SetCounts(entries, batch));
  TIERSCOPE_RETURN_IF_ERROR(SetCells(Last(grid_.csa_attended), batch));
  const auto transfer = [&](Stream stream) {
    return Transfer(grid_.pages_copied.back(), page_bytes_, RecallPath::kCopyEngine, stream);
  };
  const PageTransfer in = transfer(Stream::kSideBand), out = transfer(Stream::kDecode);
  // The same lists for both, which only read them.
  const auto run_other = [&] {
    return pair == Pair::kLayerAndScore ? RunScore(entries, batch)
                                        : backend_->Recall(Stream::kSideBand, in);
  };
  const auto run_decode = [&] {
    return pair == Pair::kWritebackAndRecall ? backend_->Writeback(Stream::kDecode, out)
                                             : DecodeLayer();
  };
  const auto median = [](std::vector<int64_t> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2),
                     values.end());
    return values[values.size() / 2];
  };
  // Each thread times its own stream while the other one is kept busy.
  const auto repeat = [&](Stream stream, auto run, int32_t times, std::atomic<bool>* stop,
                          std::vector<int64_t>* taken) -> absl::Status {
    for (int32_t i = 0; stop != nullptr ? !stop->load() || i < times : i < times; ++i) {
      TIERSCOPE_ASSIGN_OR_RETURN(const int64_t ns, Timed(stream, run));
      taken->push_back(ns);
    }
    return absl::OkStatus();
  };
  Beside beside;
  std::vector<int64_t> decode_alone, other_alone, decode_beside, other_beside;
  TIERSCOPE_RETURN_IF_ERROR(repeat(Stream::kDecode, run_decode, rounds, nullptr, &decode_alone));
  TIERSCOPE_RETURN_IF_ERROR(repeat(Stream::kSideBand, run_other, rounds, nullptr, &other_alone));
  std::atomic<bool> stop = false;
  absl::Status other_status;
  std::thread sideband(
      [&] { other_status = repeat(Stream::kSideBand, run_other, 1, &stop, &other_beside); });
  const absl::Status decode_status =
      repeat(Stream::kDecode, run_decode, rounds, nullptr, &decode_beside);
  stop = true;
  sideband.join();
  TIERSCOPE_RETURN_IF_ERROR(decode_status);
  TIERSCOPE_RETURN_IF_ERROR(other_status);
  return Beside{median(decode_alone), median(decode_beside), median(other_alone),
                median(other_beside)};
}

}  // namespace tierscope
