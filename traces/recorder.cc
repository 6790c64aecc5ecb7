#include "traces/recorder.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/recording_writer.h"

namespace tierscope {
namespace {

constexpr uint64_t kMemoryBytesDefault = uint64_t{256} << 20;
constexpr int32_t kSegmentStepsLeast = 64;

// One call, on its way to the writing thread.
struct Call {
  enum class Kind { kBegin, kStep, kTick, kEnd };
  Kind kind = Kind::kBegin;
  uint64_t request = 0;
  int32_t step = 0;
  int32_t layer = 0;
  int64_t number = 0;  // prompt tokens, or steps dropped before this one
  bool has_logits = false;
  std::vector<char> payload;  // entries and logits, or entries and codes
};

// What the calling side knows of a request.
struct RequestState {
  int32_t last_step = -1;
  int64_t dropped_steps = 0;  // since the last recorded one
  bool is_dropped = false;    // the last step was: its ticks are left out too
};

}  // namespace
}  // namespace tierscope

// The calls take a buffer under the lock, fill it outside, and queue it under the lock again. The
// writing thread takes the whole queue at once and gives the buffers back.
struct tierscope_recorder {
 public:
  tierscope_recorder(std::unique_ptr<tierscope::RecordingWriter> writer,
                     const tierscope::ProfileHeader& form, uint64_t memory_bytes_max)
      : writer_(std::move(writer)),
        form_(form),
        slots_(static_cast<size_t>(form.csa_layer_count()) * static_cast<size_t>(form.top_k())),
        memory_bytes_max_(static_cast<int64_t>(memory_bytes_max)),
        thread_([this] { WriteLoop(); }) {
    // Memory that has been written to: no call pays for its pages.
    const size_t bytes = slots_ * sizeof(int32_t);
    const std::lock_guard<std::mutex> lock(mutex_);
    for (size_t i = 0; i < kFreeBuffersMax && i * bytes < memory_bytes_max / 4; ++i) {
      free_.emplace_back(bytes);
    }
  }

  int Begin(uint64_t request, int64_t prompt_tokens) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (prompt_tokens < 0 || prompt_tokens > tierscope::kHistoryEntriesMax) {
      return Refuse(absl::StrCat("request ", request, ": a prompt of ", prompt_tokens, " tokens"));
    }
    if (!states_.try_emplace(request).second) {
      return Refuse(absl::StrCat("request ", request, " has begun already; end it first"));
    }
    tierscope::Call call;
    call.request = request;
    call.number = prompt_tokens;
    return Queue(std::move(call));
  }

  int Step(uint64_t request, int32_t step, const int32_t* entries, const float* logits) {
    const size_t entry_bytes = slots_ * sizeof(int32_t);
    const size_t bytes = logits == nullptr ? entry_bytes : 2 * entry_bytes;
    tierscope::Call call;
    call.kind = tierscope::Call::Kind::kStep;
    call.request = request;
    call.step = step;
    call.has_logits = logits != nullptr;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto at = states_.find(request);
      if (entries == nullptr || at == states_.end() || step <= at->second.last_step ||
          step > tierscope::kStepCountMax) {
        return Refuse(absl::StrCat("request ", request, ", step ", step,
                                   at == states_.end() ? ": the request has not begun"
                                                       : ": steps must rise, entries be given"));
      }
      tierscope::RequestState& state = at->second;
      state.last_step = step;
      state.is_dropped = !Reserve(bytes, &call.payload);
      if (state.is_dropped) {
        ++state.dropped_steps;
        ++dropped_steps_;
        return failed_ ? TIERSCOPE_FAILED : TIERSCOPE_DROPPED;
      }
      call.number = std::exchange(state.dropped_steps, 0);
    }
    std::memcpy(call.payload.data(), entries, entry_bytes);
    if (logits != nullptr) std::memcpy(call.payload.data() + entry_bytes, logits, entry_bytes);
    const std::lock_guard<std::mutex> lock(mutex_);
    return Queue(std::move(call));
  }

  int Tick(uint64_t request, int32_t step, int32_t layer, const uint32_t* entries,
           const uint8_t* codes, int32_t count) {
    tierscope::Call call;
    call.kind = tierscope::Call::Kind::kTick;
    call.request = request;
    call.step = step;
    call.layer = layer;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto at = states_.find(request);
      const bool has_target = layer == tierscope::kAllLayers ||
                              std::find(form_.target_layers().begin(), form_.target_layers().end(),
                                        layer) != form_.target_layers().end();
      if (at == states_.end() || step != at->second.last_step || count < 0 || !has_target ||
          form_.no_scores() || (count > 0 && (entries == nullptr || codes == nullptr))) {
        return Refuse(absl::StrCat("request ", request, ", step ", step, ", target layer ", layer,
                                   ": a tick follows the call of its step, for a target layer"));
      }
      if (at->second.is_dropped || !Reserve(static_cast<size_t>(count) * 5, &call.payload)) {
        return TIERSCOPE_DROPPED;
      }
    }
    const size_t entry_bytes = static_cast<size_t>(count) * 4;
    if (count > 0) {
      std::memcpy(call.payload.data(), entries, entry_bytes);
      std::memcpy(call.payload.data() + entry_bytes, codes, static_cast<size_t>(count));
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    return Queue(std::move(call));
  }

  int End(uint64_t request) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (states_.erase(request) == 0) {
      return Refuse(absl::StrCat("request ", request, ": the request has not begun"));
    }
    tierscope::Call call;
    call.kind = tierscope::Call::Kind::kEnd;
    call.request = request;
    return Queue(std::move(call));
  }

  void GetCounts(tierscope_recorder_counts* counts) {
    const std::lock_guard<std::mutex> lock(mutex_);
    *counts = {recorded_steps_, dropped_steps_, refused_calls_ + refused_steps_, written_bytes_};
  }

  const char* Error() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return failed_ ? failure_.c_str() : error_.c_str();
  }

  // Waits for the writing thread; the recorder can only be deleted afterwards.
  absl::Status Close() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      closing_ = true;
    }
    wake_.notify_one();
    thread_.join();
    if (failed_) return absl::UnavailableError(failure_);
    return writer_->Finish(dropped_steps_);
  }

 private:
  // All below with the lock held.
  int Refuse(std::string what) {
    ++refused_calls_;
    KeepError(std::move(what));
    return TIERSCOPE_REFUSED;
  }
  void KeepError(std::string what) {
    if (error_.empty()) error_ = std::move(what);
  }

  // A buffer of `bytes`, within the bound on memory.
  bool Reserve(size_t bytes, std::vector<char>* payload) {
    if (failed_ || queued_bytes_ + held_bytes_ + static_cast<int64_t>(bytes) > memory_bytes_max_) {
      return false;
    }
    queued_bytes_ += static_cast<int64_t>(bytes);
    if (!free_.empty()) {
      payload->swap(free_.back());
      free_.pop_back();
    }
    payload->resize(bytes);
    return true;
  }

  int Queue(tierscope::Call call) {
    if (failed_) return TIERSCOPE_FAILED;
    calls_.push_back(std::move(call));
    // The writer wakes up for batches: a wake-up costs the caller more than a copy.
    if (calls_.size() >= kBatch) wake_.notify_one();
    return TIERSCOPE_OK;
  }

  void WriteLoop() {
    std::deque<tierscope::Call> taken;
    for (bool done = false; !done;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [this] { return closing_ || calls_.size() >= kBatch; });
        taken.swap(calls_);
        done = closing_;
      }
      for (tierscope::Call& call : taken) WriteCall(&call);
      taken.clear();
    }
  }

  void WriteCall(tierscope::Call* call) {
    const absl::Status status = failed_ ? absl::OkStatus() : Forward(*call);
    const std::lock_guard<std::mutex> lock(mutex_);
    queued_bytes_ -= static_cast<int64_t>(call->payload.size());
    held_bytes_ = writer_->bytes_held();
    recorded_steps_ = writer_->recorded_steps();
    refused_steps_ = writer_->refused_steps();
    written_bytes_ = writer_->written_bytes();
    if (!writer_->refusal().empty()) KeepError(writer_->refusal());
    if (!status.ok()) {
      failed_ = true;
      failure_ = std::string(status.message());
    }
    if (!call->payload.empty() && free_.size() < kFreeBuffersMax) {
      free_.push_back(std::move(call->payload));
    }
  }

  absl::Status Forward(const tierscope::Call& call) {
    const char* payload = call.payload.data();
    switch (call.kind) {
      case tierscope::Call::Kind::kBegin:
        writer_->Begin(call.request, call.number);
        return absl::OkStatus();
      case tierscope::Call::Kind::kStep: {
        const auto* logits = reinterpret_cast<const float*>(payload) + slots_;
        return writer_->Step(
            call.request, call.step, {reinterpret_cast<const int32_t*>(payload), slots_},
            call.has_logits ? std::span<const float>(logits, slots_) : std::span<const float>(),
            call.number);
      }
      case tierscope::Call::Kind::kTick: {
        const size_t count = call.payload.size() / 5;
        writer_->Tick(call.request, call.step, call.layer,
                      {reinterpret_cast<const uint32_t*>(payload), count},
                      {reinterpret_cast<const uint8_t*>(payload) + 4 * count, count});
        return absl::OkStatus();
      }
      case tierscope::Call::Kind::kEnd:
        return writer_->End(call.request);
    }
    return absl::OkStatus();
  }

  static constexpr size_t kBatch = 16;
  static constexpr size_t kFreeBuffersMax = 64;

  std::unique_ptr<tierscope::RecordingWriter> writer_;  // of the writing thread until it is joined
  const tierscope::ProfileHeader form_;
  const size_t slots_;
  const int64_t memory_bytes_max_;

  std::mutex mutex_;  // guards everything below
  std::condition_variable wake_;
  std::deque<tierscope::Call> calls_;
  std::vector<std::vector<char>> free_;
  std::unordered_map<uint64_t, tierscope::RequestState> states_;
  int64_t queued_bytes_ = 0, held_bytes_ = 0;
  int64_t recorded_steps_ = 0, dropped_steps_ = 0, refused_steps_ = 0, refused_calls_ = 0;
  int64_t written_bytes_ = 0;
  std::string error_;    // the first refusal
  std::string failure_;  // why failed_
  bool closing_ = false;
  bool failed_ = false;
  std::thread thread_;  // last: it uses all of the above
};

namespace tierscope {
namespace {

void CopyError(absl::string_view message, char* error, size_t error_bytes) {
  if (error == nullptr || error_bytes == 0) return;
  const size_t length = std::min(message.size(), error_bytes - 1);
  std::memcpy(error, message.data(), length);
  error[length] = '\0';
}

absl::StatusOr<ProfileHeader> FormOf(const tierscope_recorder_options& o, int32_t segment_steps) {
  ProfileHeader form;
  form.set_model(o.model == nullptr ? "unknown" : o.model);
  form.set_step_count(segment_steps);
  form.set_tick_stride_steps(o.tick_stride_steps);
  form.set_no_scores(o.score_floor_code < 0);
  form.set_score_floor_code(static_cast<uint32_t>(std::max(o.score_floor_code, 0)));
  form.set_tokens_per_entry(o.tokens_per_entry);
  form.set_csa_layer_count(o.layer_count);
  form.set_top_k(o.top_k);
  form.set_selections(o.saw_full_history != 0 ? SELECTIONS_FULL_HISTORY : SELECTIONS_RESIDENT_ONLY);
  if (o.target_layer_count < 0 || (o.target_layer_count > 0 && o.target_layers == nullptr)) {
    return absl::InvalidArgumentError("target_layer_count without target_layers");
  }
  for (int32_t i = 0; i < o.target_layer_count; ++i) form.add_target_layers(o.target_layers[i]);
  form.mutable_provenance()->set_recorded_with(
      absl::StrCat("tierscope recorder, ", o.tool == nullptr ? "unknown engine" : o.tool));
  TIERSCOPE_RETURN_IF_ERROR(ValidateProfileHeader(form));
  return form;
}

absl::StatusOr<tierscope_recorder*> Open(const char* path, const tierscope_recorder_options* o) {
  if (path == nullptr || o == nullptr || o->version != TIERSCOPE_RECORDER_VERSION) {
    return absl::InvalidArgumentError(absl::StrCat(
        "path or options missing, or options.version is not ", TIERSCOPE_RECORDER_VERSION));
  }
  const int32_t stride = std::max(o->tick_stride_steps, 1);
  const int32_t segment =
      o->segment_steps > 0 ? o->segment_steps : (kSegmentStepsLeast + stride - 1) / stride * stride;
  TIERSCOPE_ASSIGN_OR_RETURN(const ProfileHeader form, FormOf(*o, segment));
  TIERSCOPE_ASSIGN_OR_RETURN(auto writer, RecordingWriter::Open(path, form, segment));
  const uint64_t memory = o->memory_bytes_max > 0 ? o->memory_bytes_max : kMemoryBytesDefault;
  return new tierscope_recorder(std::move(writer), form, std::min(memory, uint64_t{1} << 50));
}

}  // namespace
}  // namespace tierscope

tierscope_recorder* tierscope_recorder_open(const char* path,
                                            const tierscope_recorder_options* options, char* error,
                                            size_t error_bytes) {
  absl::StatusOr<tierscope_recorder*> recorder = tierscope::Open(path, options);
  if (recorder.ok()) return *recorder;
  tierscope::CopyError(recorder.status().message(), error, error_bytes);
  return nullptr;
}

int tierscope_recorder_begin(tierscope_recorder* recorder, uint64_t request,
                             int64_t prompt_tokens) {
  return recorder->Begin(request, prompt_tokens);
}

int tierscope_recorder_step(tierscope_recorder* recorder, uint64_t request, int32_t step,
                            const int32_t* entries, const float* logits) {
  return recorder->Step(request, step, entries, logits);
}

int tierscope_recorder_tick(tierscope_recorder* recorder, uint64_t request, int32_t step,
                            int32_t target_layer, const uint32_t* entries, const uint8_t* codes,
                            int32_t count) {
  return recorder->Tick(request, step, target_layer, entries, codes, count);
}

int tierscope_recorder_end(tierscope_recorder* recorder, uint64_t request) {
  return recorder->End(request);
}

void tierscope_recorder_get_counts(tierscope_recorder* recorder,
                                   tierscope_recorder_counts* counts) {
  recorder->GetCounts(counts);
}

const char* tierscope_recorder_error(tierscope_recorder* recorder) { return recorder->Error(); }

int tierscope_recorder_close(tierscope_recorder* recorder, char* error, size_t error_bytes) {
  if (recorder == nullptr) return TIERSCOPE_OK;
  const absl::Status status = recorder->Close();
  delete recorder;
  if (status.ok()) return TIERSCOPE_OK;
  tierscope::CopyError(status.message(), error, error_bytes);
  return TIERSCOPE_FAILED;
}
