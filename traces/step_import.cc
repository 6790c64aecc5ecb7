#include "traces/step_import.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/capture_import.h"
#include "traces/entry_set.h"
#include "traces/id_array.h"
#include "traces/json_value.h"
#include "traces/line_reader.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr int64_t kLineCountMax = int64_t{1} << 27;
constexpr int64_t kRequestsMax = int64_t{1} << 20;
constexpr int64_t kLayerIdMax = 10'000;
constexpr int64_t kPromptUnknown = -1;

// Where the positions of a line stand, "[" and "]" included.
struct LineInfo {
  int64_t offset = 0;
  int64_t line_number = 0;
  uint32_t bytes = 0;
  int32_t request = 0;
  int32_t step = 0;
  int32_t layer = 0;  // the log's id
};

struct RequestInfo {
  std::string id;
  int64_t prompt_tokens = kPromptUnknown;
};

enum Field : unsigned { kRequest = 1, kLayer = 2, kStep = 4, kPositions = 8, kAll = 15 };

struct LineFields {
  unsigned seen = 0;
  std::string request;
  int64_t layer = 0;
  int64_t step = 0;
  int64_t prompt_tokens = kPromptUnknown;
  absl::string_view positions;  // the array's text
};

class LogImporter {
 public:
  LogImporter(std::unique_ptr<ByteSource> source, const ImportOptions& options,
              ContainerWriter* writer, ImportResult* result)
      : source_(std::move(source)), options_(options), writer_(writer), result_(result) {}

  absl::Status Run(ImportProgress* progress) {
    TIERSCOPE_RETURN_IF_ERROR(ReadLines(progress));
    std::sort(lines_.begin(), lines_.end(), [](const LineInfo& a, const LineInfo& b) {
      return std::tie(a.request, a.step, a.layer, a.offset) <
             std::tie(b.request, b.step, b.layer, b.offset);
    });
    TIERSCOPE_RETURN_IF_ERROR(FindPrompts());
    for (size_t begin = 0; begin < lines_.size();) {
      size_t end = begin;
      while (end < lines_.size() && lines_[end].request == lines_[begin].request) ++end;
      TIERSCOPE_RETURN_IF_ERROR(ImportRequest(begin, end, progress));
      begin = end;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Bad(const LineInfo& line, absl::string_view what, absl::string_view mend) const {
    return BadInput(PlaceOfLine(source_->name(), line.line_number), what, mend);
  }

  absl::Status ReadLines(ImportProgress* progress) {
    LineReader reader(*source_);
    absl::string_view text;
    for (;;) {
      TIERSCOPE_ASSIGN_OR_RETURN(const bool more, reader.Next(&text));
      if (!more) break;
      LineFields fields;
      absl::Status status = ReadFields(text, reader.readable_bytes(text), &fields);
      if (status.ok()) status = Keep(fields, text, reader);
      if (!status.ok()) return At(PlaceOfLine(source_->name(), reader.line_number()), status);
      progress->Advance(static_cast<int64_t>(text.size()));
    }
    if (lines_.empty()) return BadInput(source_->name(), "no record", "record again");
    return absl::OkStatus();
  }

  absl::Status ReadFields(absl::string_view text, size_t readable_bytes, LineFields* fields) {
    simdjson::ondemand::object object;
    TIERSCOPE_RETURN_IF_ERROR(Open(text, readable_bytes, &object));
    for (auto field : object) {
      std::string_view name;
      if (const auto error = field.unescaped_key().get(name); error != simdjson::SUCCESS) {
        return BadJson(error);
      }
      TIERSCOPE_RETURN_IF_ERROR(ReadField(ToAbsl(name), field.value(), fields));
    }
    if (!JsonAtEnd(document_)) return BadJson(simdjson::TRAILING_CONTENT);
    if (fields->seen == kAll) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "a field of request_id, layer_id, step_idx, selected_token_pos is missing; add it or leave "
        "the line out");
  }

  absl::Status Open(absl::string_view text, size_t readable_bytes,
                    simdjson::ondemand::object* object) {
    const simdjson::padded_string_view padded(text.data(), text.size(), readable_bytes);
    auto error = parser_.iterate(padded).get(document_);
    if (error == simdjson::SUCCESS) error = document_.get_object().get(*object);
    return error == simdjson::SUCCESS ? absl::OkStatus() : BadJson(error);
  }

  static absl::Status ReadField(absl::string_view name, JsonResult value, LineFields* fields) {
    if (name == "request_id") {
      fields->seen |= kRequest;
      std::string_view text;
      if (value.get_string().get(text) == simdjson::SUCCESS) {
        fields->request.assign(text);
        return absl::OkStatus();
      }
      TIERSCOPE_ASSIGN_OR_RETURN(const int64_t id, JsonCount(value, name, int64_t{1} << 62));
      fields->request = absl::StrCat(id);
    } else if (name == "layer_id") {
      fields->seen |= kLayer;
      TIERSCOPE_ASSIGN_OR_RETURN(fields->layer, JsonCount(value, name, kLayerIdMax));
    } else if (name == "step_idx") {
      fields->seen |= kStep;
      TIERSCOPE_ASSIGN_OR_RETURN(fields->step, JsonCount(value, name, kStepCountMax));
    } else if (name == "prompt_tokens") {
      TIERSCOPE_ASSIGN_OR_RETURN(fields->prompt_tokens, JsonCount(value, name, int64_t{1} << 34));
    } else if (name == "selected_token_pos") {
      fields->seen |= kPositions;
      std::string_view begin;
      simdjson::ondemand::array array;
      auto error = value.get_array().get(array);
      if (error == simdjson::SUCCESS) error = array.raw_json().get(begin);
      if (error != simdjson::SUCCESS) return BadJson(error);
      fields->positions = ToAbsl(begin);
    }
    return absl::OkStatus();
  }

  absl::Status Keep(const LineFields& fields, absl::string_view text, const LineReader& reader) {
    if (static_cast<int64_t>(lines_.size()) == kLineCountMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", kLineCountMax, " lines; split the log by request"));
    }
    const auto [at, is_new] =
        request_of_.try_emplace(fields.request, static_cast<int32_t>(requests_.size()));
    if (is_new) requests_.push_back({fields.request, kPromptUnknown});
    if (static_cast<int64_t>(requests_.size()) > kRequestsMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", kRequestsMax, " requests; split the log"));
    }
    RequestInfo& request = requests_[static_cast<size_t>(at->second)];
    if (fields.prompt_tokens != kPromptUnknown) {
      if (request.prompt_tokens != kPromptUnknown &&
          request.prompt_tokens != fields.prompt_tokens) {
        return absl::InvalidArgumentError(
            absl::StrCat("prompt_tokens ", fields.prompt_tokens, " of request ", request.id,
                         ", was ", request.prompt_tokens, "; give its requests ids of their own"));
      }
      request.prompt_tokens = fields.prompt_tokens;
    }
    layers_.insert(static_cast<int32_t>(fields.layer));
    const auto commas =
        static_cast<size_t>(std::count(fields.positions.begin(), fields.positions.end(), ','));
    topk_ = std::max(topk_, commas + 1);
    lines_.push_back({reader.line_offset() + (fields.positions.data() - text.data()),
                      reader.line_number(), static_cast<uint32_t>(fields.positions.size()),
                      at->second, static_cast<int32_t>(fields.step),
                      static_cast<int32_t>(fields.layer)});
    return absl::OkStatus();
  }

  absl::Status FindPrompts() {
    const std::vector<int64_t>& given = options_.prompt_tokens;
    const bool one_each = given.size() == requests_.size();
    for (size_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i].prompt_tokens != kPromptUnknown) continue;
      if (given.size() != 1 && !one_each) {
        return BadInput(source_->name(),
                        absl::StrCat("no line of request ", requests_[i].id,
                                     " says prompt_tokens, and --prompt-tokens names ",
                                     given.size(), " prompts for ", requests_.size(), " requests"),
                        "add the field, or give one number for all or one a request");
      }
      requests_[i].prompt_tokens = given[one_each ? i : 0];
    }
    return absl::OkStatus();
  }

  // Lines [begin, end) are one request by step and layer: every layer at every step.
  absl::Status CheckComplete(size_t begin, size_t end) const {
    auto layer = layers_.begin();
    int32_t step = lines_[begin].step;
    for (size_t i = begin; i < end; ++i) {
      const LineInfo& line = lines_[i];
      if (line.step != step || line.layer != *layer) {
        const bool repeats =
            i > begin && line.step == lines_[i - 1].step && line.layer == lines_[i - 1].layer;
        return Bad(line,
                   absl::StrCat("request ", requests_[static_cast<size_t>(line.request)].id, ": ",
                                repeats ? "a second line of step " : "a line of step ", line.step,
                                ", layer ", line.layer, " where step ", step, ", layer ", *layer,
                                " was expected"),
                   "log every layer of every step once, or leave the request out");
      }
      if (++layer == layers_.end()) {
        layer = layers_.begin();
        ++step;
      }
    }
    if (layer == layers_.begin()) return absl::OkStatus();
    return Bad(lines_[end - 1], absl::StrCat("step ", step, " ends before layer ", *layer),
               "log every layer of every step once, or cut the request before this step");
  }

  absl::Status ImportRequest(size_t begin, size_t end, ImportProgress* progress) {
    TIERSCOPE_RETURN_IF_ERROR(CheckComplete(begin, end));
    const LineInfo& first = lines_[begin];
    const RequestInfo& request = requests_[static_cast<size_t>(first.request)];
    const auto steps = static_cast<int64_t>((end - begin) / layers_.size()) - 1;
    const int64_t stride = options_.tick_stride_steps;
    if (steps < stride) {
      return Bad(first,
                 absl::StrCat("request ", request.id, " has ", steps + 1,
                              " steps, fewer than a tick stride of ", stride),
                 "lower --tick-stride or leave the request out");
    }
    TraceRecord record;
    ProfileHeader header;
    header.set_model(options_.model);
    header.set_prompt_tokens(request.prompt_tokens + first.step);
    header.set_step_count(static_cast<int32_t>(steps / stride * stride));
    header.set_tick_stride_steps(options_.tick_stride_steps);
    header.set_tokens_per_entry(options_.tokens_per_entry);
    header.set_csa_layer_count(static_cast<int32_t>(layers_.size()));
    header.set_top_k(static_cast<int32_t>(std::max<size_t>(topk_, 1)));
    header.set_selections(options_.selections);
    header.set_no_scores(true);
    header.mutable_provenance()->set_recorded_with(
        absl::StrCat("a step log, ", BaseName(source_->name()), ", request ", request.id));
    if (absl::Status status = ValidateProfileHeader(header); !status.ok()) {
      return At(PlaceOfLine(source_->name(), first.line_number), status);
    }
    *record.mutable_profile() = header;
    TIERSCOPE_RETURN_IF_ERROR(writer_->Append(record));
    members_ = EntrySet(HistoryEntries(header, header.step_count()));
    const size_t used = static_cast<size_t>(header.step_count() + 1) * layers_.size();
    for (size_t i = 0; i < used; ++i) {
      const LineInfo& line = lines_[begin + i];
      const auto layer = static_cast<int32_t>(i % layers_.size());
      TIERSCOPE_RETURN_IF_ERROR(ReadEntries(header, line, line.step - first.step));
      FillSelection(line.step - first.step, layer, entries_, {}, {}, &record);
      TIERSCOPE_RETURN_IF_ERROR(writer_->Append(record));
      progress->Advance(line.bytes);
    }
    ++result_->profiles;
    return absl::OkStatus();
  }

  absl::Status ReadEntries(const ProfileHeader& header, const LineInfo& line, int32_t step) {
    buffer_.resize(line.bytes + kSourcePaddingBytes);
    TIERSCOPE_RETURN_IF_ERROR(source_->ReadAt(line.offset, buffer_.data(), line.bytes));
    const auto tokens_per_entry = static_cast<uint32_t>(options_.tokens_per_entry);
    const bool shifts = std::has_single_bit(tokens_per_entry);
    const int shift = std::countr_zero(tokens_per_entry);
    const auto tokens = static_cast<uint64_t>(HistoryEntries(header, step)) * tokens_per_entry;
    int32_t room = header.top_k();  // the file may have changed since the first pass
    const int64_t count = ForEachId({buffer_.data(), line.bytes}, [&](uint32_t position) {
      if (position >= tokens || room-- == 0) return false;
      members_.Add(shifts ? position >> shift : position / tokens_per_entry);
      return true;
    });
    entries_.resize(static_cast<size_t>(header.top_k()));
    uint32_t* out = entries_.data();
    members_.Drain([&out](uint32_t entry) { *out++ = entry; });
    entries_.resize(static_cast<size_t>(out - entries_.data()));
    if (count < 0) {
      return Bad(line,
                 absl::StrCat("selected_token_pos[", -1 - count, "] is no position below the ",
                              tokens, " tokens whose entries exist at step ", step),
                 "check prompt_tokens and --tokens-per-entry, or record again");
    }
    const auto full = std::min<int64_t>(HistoryEntries(header, step), header.top_k());
    const auto distinct = static_cast<int64_t>(entries_.size());
    if (options_.tokens_per_entry == 1 && distinct != count) {
      return Bad(line, "a position stands twice", "record again");
    }
    if (options_.tokens_per_entry == 1 && options_.selections == SELECTIONS_FULL_HISTORY &&
        distinct < full) {
      return Bad(line,
                 absl::StrCat(distinct,
                              " positions where an indexer that sees the full "
                              "history takes ",
                              full),
                 "give --selections=resident_only if it did not see it");
    }
    return absl::OkStatus();
  }

  std::unique_ptr<ByteSource> source_;
  const ImportOptions& options_;
  ContainerWriter* writer_;
  ImportResult* result_;
  simdjson::ondemand::parser parser_;
  simdjson::ondemand::document document_;
  std::vector<LineInfo> lines_;
  std::vector<RequestInfo> requests_;
  absl::flat_hash_map<std::string, int32_t> request_of_;
  std::set<int32_t> layers_;
  size_t topk_ = 0;
  EntrySet members_{0};
  std::vector<uint32_t> entries_;
  std::vector<char> buffer_;
};

}  // namespace

absl::Status ImportStepLogs(const std::vector<std::string>& files, const ImportOptions& options,
                            ContainerWriter* writer, ImportResult* result) {
  TIERSCOPE_RETURN_IF_ERROR(CheckTokensPerEntry(options));
  std::vector<std::unique_ptr<ByteSource>> sources;
  int64_t all_bytes = 0;
  for (const std::string& file : files) {
    TIERSCOPE_ASSIGN_OR_RETURN(sources.emplace_back(), OpenFileSource(file));
    all_bytes += 2 * sources.back()->size_bytes();
  }
  ImportProgress progress(options, all_bytes);
  for (auto& source : sources) {
    TIERSCOPE_RETURN_IF_ERROR(
        LogImporter(std::move(source), options, writer, result).Run(&progress));
  }
  progress.Finish();
  return absl::OkStatus();
}

}  // namespace tierscope
