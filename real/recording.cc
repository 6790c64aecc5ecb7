#include "real/recording.h"

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"

#include "sim/base/check.h"
#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/container.h"

namespace tierscope {
namespace {

constexpr int64_t kMemoryQueryBytes = int64_t{kMemoryHeads} * kIndexDim;

size_t Size(int64_t count) { return static_cast<size_t>(count); }

// Records one profile after the other; buffers for one request.
class ProfileRecorder {
 public:
  ProfileRecorder(const ExecutionPlan& plan, Backend& backend, Executor& executor,
                  const RecordingOptions& options, ContainerWriter& writer)
      : plan_(plan), backend_(backend), executor_(executor), options_(options), writer_(writer) {}

  absl::Status Allocate() {
    const int64_t pages = plan_.history_pages_max;
    TIERSCOPE_ASSIGN_OR_RETURN(q_, New<uint8_t>(kMemoryLayers * kMemoryQueryBytes));
    TIERSCOPE_ASSIGN_OR_RETURN(weights_, New<float>(kMemoryLayers * kMemoryHeads));
    TIERSCOPE_ASSIGN_OR_RETURN(pages_, New<int32_t>(pages));
    TIERSCOPE_ASSIGN_OR_RETURN(blocks_, New<int32_t>(pages));
    TIERSCOPE_ASSIGN_OR_RETURN(key_pages_, New<int32_t>(pages));
    TIERSCOPE_ASSIGN_OR_RETURN(entry_count_, New<int32_t>(4));
    TIERSCOPE_ASSIGN_OR_RETURN(density_, New<uint8_t>(pages));
    TIERSCOPE_ASSIGN_OR_RETURN(codes_, New<uint8_t>(pages * kPageEntries));
    TIERSCOPE_ASSIGN_OR_RETURN(logits_, New<float>(pages * kPageEntries));
    TIERSCOPE_ASSIGN_OR_RETURN(entries_, New<int32_t>(plan_.top_k));
    TIERSCOPE_ASSIGN_OR_RETURN(cells_, New<int32_t>(plan_.top_k));
    codes_host_.resize(Size(pages * kPageEntries));
    entries_host_.resize(Size(plan_.top_k));
    return absl::OkStatus();
  }

  // Profile p of a live plan is made for request p, whose pools are what is scored, whichever
  // profile the request itself was given.
  absl::Status Record(int32_t profile) {
    const RequestPlan& own = plan_.requests[Size(profile)];
    const RequestContent& content = executor_.content(profile);
    KvStore& store = executor_.store();
    TIERSCOPE_RETURN_IF_ERROR(store.LoadPrompt(profile, content));
    TIERSCOPE_RETURN_IF_ERROR(UploadPages(own));
    TIERSCOPE_RETURN_IF_ERROR(WriteHeader(own));
    for (int64_t step = 0; step <= plan_.step_count; ++step) {
      if (options_.cancelled != nullptr && options_.cancelled->load()) {
        return absl::CancelledError("interrupted; the recording is not written");
      }
      TIERSCOPE_RETURN_IF_ERROR(store.AppendToken(profile, step, /*block=*/-1, content).status());
      const auto entries = static_cast<int32_t>(plan_.EntriesAt(own, step));
      TIERSCOPE_RETURN_IF_ERROR(
          backend_.Copy(Stream::kDecode, entry_count_, &entries, sizeof entries));
      for (int32_t layer = 0; layer < plan_.csa_layers; ++layer) {
        TIERSCOPE_RETURN_IF_ERROR(RecordSelection(content, store, step, layer));
      }
      if (step % plan_.stride_steps != 0 || step == plan_.step_count) continue;
      TIERSCOPE_RETURN_IF_ERROR(RecordTick(content, store, step, entries));
    }
    return absl::OkStatus();
  }

 private:
  template <typename T>
  absl::StatusOr<T*> New(int64_t count) {
    TIERSCOPE_ASSIGN_OR_RETURN(
        uint8_t * memory,
        backend_.Allocate("recording", Arena::kDevice, count * static_cast<int64_t>(sizeof(T))));
    return reinterpret_cast<T*>(memory);
  }

  absl::Status UploadPages(const RequestPlan& own) {
    std::vector<int32_t> pages, blocks, key_pages;
    for (int32_t page = 0; page < own.page_count; ++page) {
      pages.push_back(page);
      blocks.push_back(0);  // cells are not used
      key_pages.push_back(own.page_begin + page);
    }
    const int64_t bytes = own.page_count * int64_t{4};
    TIERSCOPE_RETURN_IF_ERROR(backend_.Copy(Stream::kDecode, pages_, pages.data(), bytes));
    TIERSCOPE_RETURN_IF_ERROR(backend_.Copy(Stream::kDecode, blocks_, blocks.data(), bytes));
    return backend_.Copy(Stream::kDecode, key_pages_, key_pages.data(), bytes);
  }

  absl::Status WriteHeader(const RequestPlan& own) {
    ProfileHeader* header = record_.mutable_profile();
    header->Clear();
    header->set_model(plan_.scenario.model().name());
    header->set_prompt_tokens(own.context_tokens);
    header->set_step_count(static_cast<int32_t>(plan_.step_count));
    header->set_tick_stride_steps(plan_.stride_steps);
    header->set_score_floor_code(static_cast<uint32_t>(options_.score_floor_code));
    header->set_tokens_per_entry(plan_.tokens_per_entry);
    header->set_csa_layer_count(plan_.csa_layers);
    header->set_top_k(plan_.top_k);
    header->set_selections(SELECTIONS_FULL_HISTORY);
    for (int32_t layer = 0; layer < kMemoryLayers; ++layer) header->add_target_layers(layer);
    header->mutable_provenance()->set_recorded_with(options_.tool);
    TIERSCOPE_RETURN_IF_ERROR(ValidateProfileHeader(*header));
    const absl::Status status = writer_.Append(record_);
    record_.Clear();
    return status;
  }

  ScoreInput InputOf() const {
    ScoreInput input;
    input.request_count = 1;
    input.pages_max = plan_.history_pages_max;
    input.q = q_;
    input.head_weights = weights_;
    input.pages = key_pages_;
    input.entry_counts = entry_count_;
    return input;
  }

  absl::Status RecordSelection(const RequestContent& content, const KvStore& store, int64_t step,
                               int32_t layer) {
    const IndexQuery query = content.NativeQuery(static_cast<int32_t>(step), layer);
    TIERSCOPE_RETURN_IF_ERROR(
        backend_.Copy(Stream::kDecode, q_, query.codes, int64_t{kNativeHeads} * kIndexDim));
    TIERSCOPE_RETURN_IF_ERROR(
        backend_.Copy(Stream::kDecode, weights_, query.weights, kNativeHeads * 4));
    NativeScoreParams score;
    score.input = InputOf();
    score.input.keys[0] = store.Keys(layer);
    score.logits = logits_;
    TIERSCOPE_RETURN_IF_ERROR(backend_.NativeScore(Stream::kDecode, score));
    TopEntriesParams top;
    top.request_count = 1;
    top.pages_max = plan_.history_pages_max;
    top.top_k = plan_.top_k;
    top.logits = logits_;
    top.entry_counts = entry_count_;
    top.pages = pages_;
    top.blocks = blocks_;
    top.entries = entries_;
    top.cells = cells_;
    TIERSCOPE_RETURN_IF_ERROR(backend_.TopEntries(Stream::kDecode, top));
    TIERSCOPE_RETURN_IF_ERROR(backend_.Copy(Stream::kDecode, entries_host_.data(), entries_,
                                            static_cast<int64_t>(entries_host_.size()) * 4));
    TIERSCOPE_RETURN_IF_ERROR(backend_.Synchronize(Stream::kDecode));
    chosen_.clear();
    for (const int32_t entry : entries_host_) {
      if (entry >= 0) chosen_.push_back(static_cast<uint32_t>(entry));
    }
    FillSelection(static_cast<int32_t>(step), layer, chosen_, {}, {}, &record_);
    return writer_.Append(record_);
  }

  absl::Status RecordTick(const RequestContent& content, const KvStore& store, int64_t step,
                          int32_t entries) {
    MemoryScoreParams score;
    score.input = InputOf();
    for (int32_t layer = 0; layer < kMemoryLayers; ++layer) {
      const IndexQuery query = content.MemoryQuery(static_cast<int32_t>(step), layer);
      TIERSCOPE_RETURN_IF_ERROR(backend_.Copy(Stream::kDecode, q_ + layer * kMemoryQueryBytes,
                                              query.codes, kMemoryQueryBytes));
      TIERSCOPE_RETURN_IF_ERROR(backend_.Copy(Stream::kDecode, weights_ + layer * kMemoryHeads,
                                              query.weights, kMemoryHeads * 4));
      score.input.keys[layer] = store.Keys(layer);
    }
    score.code_cutoff = plan_.code_cutoff;
    score.density = density_;
    score.codes = codes_;
    TIERSCOPE_RETURN_IF_ERROR(backend_.MemoryScore(Stream::kDecode, score));
    TIERSCOPE_RETURN_IF_ERROR(backend_.Copy(Stream::kDecode, codes_host_.data(), codes_, entries));
    TIERSCOPE_RETURN_IF_ERROR(backend_.Synchronize(Stream::kDecode));
    chosen_.clear();
    chosen_codes_.clear();
    for (int32_t entry = 0; entry < entries; ++entry) {
      const uint8_t code = codes_host_[Size(entry)];
      if (code < options_.score_floor_code) continue;
      chosen_.push_back(static_cast<uint32_t>(entry));
      chosen_codes_.push_back(code);
    }
    FillTick(static_cast<int32_t>(step), kAllLayers, chosen_, chosen_codes_, &record_);
    return writer_.Append(record_);
  }

  const ExecutionPlan& plan_;
  Backend& backend_;
  Executor& executor_;
  const RecordingOptions& options_;
  ContainerWriter& writer_;
  TraceRecord record_;
  uint8_t* q_ = nullptr;  // [3][128][128]; level 2 uses the first [64][128]
  float* weights_ = nullptr;
  int32_t* pages_ = nullptr;
  int32_t* blocks_ = nullptr;
  int32_t* key_pages_ = nullptr;
  int32_t* entry_count_ = nullptr;
  uint8_t* density_ = nullptr;
  uint8_t* codes_ = nullptr;
  float* logits_ = nullptr;
  int32_t* entries_ = nullptr;
  int32_t* cells_ = nullptr;
  std::vector<uint8_t> codes_host_, chosen_codes_;
  std::vector<int32_t> entries_host_;
  std::vector<uint32_t> chosen_;
};

}  // namespace

absl::Status RecordTrace(const ExecutionPlan& plan, Backend& backend, Executor& executor,
                         const RecordingOptions& options) {
  TIERSCOPE_CHECK(plan.mode == RealMode::kLive);
  TIERSCOPE_ASSIGN_OR_RETURN(const std::unique_ptr<ContainerWriter> writer,
                             ContainerWriter::Open(options.path));
  ProfileRecorder recorder(plan, backend, executor, options, *writer);
  TIERSCOPE_RETURN_IF_ERROR(recorder.Allocate());
  for (int32_t profile = 0; profile < plan.profile_count(); ++profile) {
    TIERSCOPE_RETURN_IF_ERROR(recorder.Record(profile));
  }
  return writer->Finish();
}

}  // namespace tierscope
