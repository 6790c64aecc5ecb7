#include "traces/resident_import.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"

#include "sim/base/status_macros.h"
#include "traces/attention_trace.h"
#include "traces/json_value.h"
#include "traces/line_reader.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

constexpr uint32_t kPageEntries = 64;  // facts.md section 2: FlashMemory's page
constexpr int32_t kLateStepsMax = 8;   // of the step counter, see the header
constexpr int64_t kLineCountMax = int64_t{1} << 26;
constexpr int32_t kFlashLayers = 21, kFlashTopK = 512, kFlashTokensPerEntry = 4;

struct DumpLine {
  int64_t slot = 0;
  int64_t step = 0;
  int64_t history_entries = 0;  // n_blk
  int64_t kept_entries = 0;     // n_keep
  std::vector<uint32_t> entries;
};

// A line without its entries, for grouping.
struct LineInfo {
  int64_t slot = 0;
  int64_t offset = 0;
  int64_t bytes = 0;
  int64_t line_number = 0;
  int32_t step = 0;
  int32_t history_entries = 0;
};

enum Field : unsigned { kReq = 1, kStep = 2, kBlocks = 4, kKeep = 8, kIds = 16, kAll = 31 };

absl::Status ReadIds(JsonResult value, std::vector<uint32_t>* ids) {
  simdjson::ondemand::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) {
    return absl::InvalidArgumentError("field 'resident_ids' is no array; dump again");
  }
  ids->clear();
  int64_t previous = -1;
  for (auto element : array) {
    int64_t id = 0;
    if (const auto error = element.get_int64().get(id); error != simdjson::SUCCESS) {
      return BadJson(error);
    }
    if (id <= previous || id >= kHistoryEntriesMax) {
      return absl::InvalidArgumentError(absl::StrCat("resident_ids[", ids->size(), "] is ", id,
                                                     " behind ", previous,
                                                     "; entries must rise from 0: dump again"));
    }
    previous = id;
    ids->push_back(static_cast<uint32_t>(id));
  }
  return absl::OkStatus();
}

absl::Status ReadField(absl::string_view name, JsonResult value, DumpLine* line, unsigned* seen) {
  const auto count = [&](Field field, int64_t max, int64_t* out) -> absl::Status {
    *seen |= field;
    TIERSCOPE_ASSIGN_OR_RETURN(*out, JsonCount(value, name, max));
    return absl::OkStatus();
  };
  if (name == "req") return count(kReq, int64_t{1} << 40, &line->slot);
  if (name == "step") return count(kStep, kStepCountMax, &line->step);
  if (name == "n_blk") return count(kBlocks, kHistoryEntriesMax, &line->history_entries);
  if (name == "n_keep") return count(kKeep, kHistoryEntriesMax, &line->kept_entries);
  if (name != "resident_ids") return absl::OkStatus();
  *seen |= kIds;
  return ReadIds(value, &line->entries);
}

absl::Status CheckLine(const DumpLine& line, unsigned seen) {
  if (seen != kAll) {
    return absl::InvalidArgumentError(
        "a field of req, step, n_blk, n_keep, resident_ids is missing; dump again");
  }
  const auto count = static_cast<int64_t>(line.entries.size());
  if (count != line.kept_entries) {
    return absl::InvalidArgumentError(
        absl::StrCat(count, " resident_ids, n_keep says ", line.kept_entries, "; dump again"));
  }
  if (count > 0 && line.entries.back() >= line.history_entries) {
    return absl::InvalidArgumentError(absl::StrCat(
        "entry ", line.entries.back(),
        " lies outside the history of n_blk = ", line.history_entries, "; dump again"));
  }
  return absl::OkStatus();
}

// Whether every page that is kept is kept whole.
bool HoldsWholePages(const DumpLine& line) {
  const std::vector<uint32_t>& e = line.entries;
  for (size_t i = 0; i < e.size();) {
    if (e[i] % kPageEntries != 0) return false;
    const int64_t page_end = std::min<int64_t>(e[i] + kPageEntries, line.history_entries);
    const auto page_entries = static_cast<size_t>(page_end - e[i]);
    if (i + page_entries > e.size() || e[i + page_entries - 1] != page_end - 1) return false;
    i += page_entries;
  }
  return true;
}

std::vector<uint32_t> PagesOf(std::span<const uint32_t> entries) {
  std::vector<uint32_t> pages;
  for (const uint32_t entry : entries) {
    if (pages.empty() || pages.back() != entry / kPageEntries)
      pages.push_back(entry / kPageEntries);
  }
  return pages;
}

// Parses lines of one dump, wherever they come from.
class LineParser {
 public:
  absl::Status Parse(absl::string_view text, size_t readable_bytes, DumpLine* line) {
    simdjson::ondemand::document document;
    simdjson::ondemand::object object;
    const simdjson::padded_string_view padded(text.data(), text.size(), readable_bytes);
    auto error = parser_.iterate(padded).get(document);
    if (error == simdjson::SUCCESS) error = document.get_object().get(object);
    if (error != simdjson::SUCCESS) return BadJson(error);
    unsigned seen = 0;
    for (auto field : object) {
      std::string_view name;
      if (error = field.unescaped_key().get(name); error != simdjson::SUCCESS) {
        return BadJson(error);
      }
      TIERSCOPE_RETURN_IF_ERROR(ReadField(ToAbsl(name), field.value(), line, &seen));
    }
    if (!JsonAtEnd(document)) return BadJson(simdjson::TRAILING_CONTENT);
    return CheckLine(*line, seen);
  }

 private:
  simdjson::ondemand::parser parser_;
};

// One rank's file, line by line.
class RankFile {
 public:
  static absl::StatusOr<std::unique_ptr<RankFile>> Open(const std::string& path) {
    TIERSCOPE_ASSIGN_OR_RETURN(auto source, OpenFileSource(path));
    return std::unique_ptr<RankFile>(new RankFile(std::move(source)));
  }

  absl::StatusOr<bool> Next(DumpLine* line) {
    absl::string_view text;
    TIERSCOPE_ASSIGN_OR_RETURN(const bool more, reader_.Next(&text));
    if (!more) return false;
    line_bytes_ = static_cast<int64_t>(text.size());
    const absl::Status status = parser_.Parse(text, reader_.readable_bytes(text), line);
    return status.ok() ? absl::StatusOr<bool>(true) : At(Place(), status);
  }
  std::string Place() const { return PlaceOfLine(source_->name(), reader_.line_number()); }
  LineInfo InfoOf(const DumpLine& line) const {
    return {line.slot,
            reader_.line_offset(),
            line_bytes_,
            reader_.line_number(),
            static_cast<int32_t>(line.step),
            static_cast<int32_t>(line.history_entries)};
  }
  // Reads a line again.
  absl::Status ReadAgain(const LineInfo& info, DumpLine* line) {
    again_.resize(static_cast<size_t>(info.bytes) + kSourcePaddingBytes);
    TIERSCOPE_RETURN_IF_ERROR(source_->ReadAt(info.offset, again_.data(), info.bytes));
    const absl::string_view text(again_.data(), static_cast<size_t>(info.bytes));
    const absl::Status status = parser_.Parse(text, again_.size(), line);
    return status.ok() ? status : At(PlaceOfLine(source_->name(), info.line_number), status);
  }
  const ByteSource& source() const { return *source_; }

 private:
  explicit RankFile(std::unique_ptr<ByteSource> source)
      : source_(std::move(source)), reader_(*source_) {}

  std::unique_ptr<ByteSource> source_;
  LineReader reader_;
  LineParser parser_;
  int64_t line_bytes_ = 0;
  std::vector<char> again_;
};

// The records that form a profile, at multiples of tau from its first.
struct ProfileLines {
  std::vector<LineInfo> lines;
  int64_t prompt_least = 0;  // tokens, in the range that n_blk of every line allows
  int64_t prompt_most = 0;
};

class DumpImporter {
 public:
  DumpImporter(const ImportOptions& options, ContainerWriter* writer, ImportResult* result)
      : options_(options),
        tokens_per_entry_(options.tokens_per_entry > 0 ? options.tokens_per_entry
                                                       : kFlashTokensPerEntry),
        writer_(writer),
        result_(result) {}

  absl::Status Run(const std::vector<std::string>& files) {
    if (options_.threshold < 0.0) {
      return absl::InvalidArgumentError(
          "--threshold is needed: a resident dump does not say the score threshold that its server "
          "ran with");
    }
    int64_t all_bytes = 0;
    for (const std::string& file : files) {
      TIERSCOPE_ASSIGN_OR_RETURN(ranks_.emplace_back(), RankFile::Open(file));
      all_bytes += ranks_.back()->source().size_bytes();
    }
    ImportProgress progress(options_, all_bytes + ranks_[0]->source().size_bytes());
    TIERSCOPE_RETURN_IF_ERROR(CompareRanks(&progress));
    std::stable_sort(lines_.begin(), lines_.end(),
                     [](const LineInfo& a, const LineInfo& b) { return a.slot < b.slot; });
    TIERSCOPE_RETURN_IF_ERROR(FindTau());
    GroupProfiles();
    for (const ProfileLines& profile : profiles_) {
      TIERSCOPE_RETURN_IF_ERROR(WriteProfile(profile, &progress));
    }
    progress.Finish();
    AddNotes();
    return absl::OkStatus();
  }

 private:
  // Reads all ranks in step, keeps what rank 0 says of each line.
  absl::Status CompareRanks(ImportProgress* progress) {
    DumpLine first, other;
    for (;;) {
      TIERSCOPE_ASSIGN_OR_RETURN(const bool more, ranks_[0]->Next(&first));
      for (size_t rank = 1; rank < ranks_.size(); ++rank) {
        TIERSCOPE_ASSIGN_OR_RETURN(const bool has_line, ranks_[rank]->Next(&other));
        if (has_line != more) return UnequalLength(rank, more);
        if (more) TIERSCOPE_RETURN_IF_ERROR(CheckAgreement(rank, first, other));
      }
      if (!more) break;
      if (static_cast<int64_t>(lines_.size()) == kLineCountMax) {
        return absl::ResourceExhaustedError(
            absl::StrCat(ranks_[0]->Place(), ": more than ", kLineCountMax, " lines; split it"));
      }
      lines_.push_back(ranks_[0]->InfoOf(first));
      is_pages_ &= HoldsWholePages(first);
      pages_max_ = std::max(pages_max_, static_cast<int32_t>(PagesOf(first.entries).size()));
      progress->Advance(lines_.back().bytes * static_cast<int64_t>(ranks_.size()));
    }
    if (lines_.empty()) return BadInput(ranks_[0]->source().name(), "no record", "dump again");
    return absl::OkStatus();
  }

  absl::Status UnequalLength(size_t rank, bool first_is_longer) const {
    const RankFile& shorter = *ranks_[first_is_longer ? rank : 0];
    const RankFile& longer = *ranks_[first_is_longer ? 0 : rank];
    return BadInput(
        longer.Place(),
        absl::StrCat("the ranks are unequal: ", shorter.source().name(), " ends before this line"),
        "import the dumps of one server, or cut them to the same decisions");
  }

  absl::Status CheckAgreement(size_t rank, const DumpLine& a, const DumpLine& b) const {
    if (a.slot == b.slot && a.history_entries == b.history_entries && a.entries == b.entries) {
      return absl::OkStatus();
    }
    const std::string where =
        absl::StrCat("the ranks disagree with ", ranks_[0]->Place(), " on request ", a.slot,
                     ", window from step ", a.step, ": ");
    std::string what;
    if (a.slot != b.slot || a.history_entries != b.history_entries) {
      what = absl::StrCat("request ", b.slot, " with a history of ", b.history_entries, " against ",
                          a.history_entries);
    } else {
      std::vector<uint32_t> both;
      std::set_intersection(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(),
                            std::back_inserter(both));
      what = absl::StrCat(a.entries.size() - both.size(), " of its entries are missing here, ",
                          b.entries.size() - both.size(), " are here alone");
    }
    return BadInput(ranks_[rank]->Place(), absl::StrCat(where, what),
                    "such a server computes wrong attention; import one rank alone to look at it");
  }

  // Steps between decisions: most frequent of the differences, the smaller of equals.
  absl::Status FindTau() {
    tau_ = options_.tau_steps;
    if (tau_ > 0) return absl::OkStatus();
    std::map<int32_t, int64_t> count;
    for (size_t i = 1; i < lines_.size(); ++i) {
      const int32_t difference = lines_[i].step - lines_[i - 1].step;
      if (lines_[i].slot == lines_[i - 1].slot && difference > 0) ++count[difference];
    }
    for (const auto& [difference, times] : count) {
      if (tau_ == 0 || times > count[tau_]) tau_ = difference;
    }
    if (tau_ > 0) return absl::OkStatus();
    return BadInput(ranks_[0]->source().name(),
                    "no request has a second decision, so the dump does not say its tau",
                    "give --tau-steps");
  }

  // The tokens in the prompt of a profile of which `line` is record `tick`.
  std::pair<int64_t, int64_t> PromptRange(const LineInfo& line, size_t tick) const {
    const int64_t tokens = int64_t{line.history_entries} * tokens_per_entry_;
    const int64_t least = tokens - 1 - static_cast<int64_t>(tick) * tau_;
    return {std::max<int64_t>(least, 0), least + tokens_per_entry_ - 1};
  }

  // Whether `line` is the next record of `profile`, whose first has the nominal step `first_step`.
  bool Follows(const ProfileLines& profile, int64_t first_step, const LineInfo& line) {
    const size_t tick = profile.lines.size();
    const int64_t late = line.step - (first_step + static_cast<int64_t>(tick) * tau_);
    const int32_t slack = std::min(kLateStepsMax, tau_ / 4);
    if (late < -slack || late > slack) return false;
    const auto [least, most] = PromptRange(line, tick);
    if (std::max(least, profile.prompt_least) > std::min(most, profile.prompt_most)) return false;
    late_lines_ += late != 0 ? 1 : 0;
    return true;
  }

  void Append(const LineInfo& line, ProfileLines* profile) const {
    const auto [least, most] = PromptRange(line, profile->lines.size());
    const bool is_first = profile->lines.empty();
    profile->prompt_least = is_first ? least : std::max(least, profile->prompt_least);
    profile->prompt_most = is_first ? most : std::min(most, profile->prompt_most);
    profile->lines.push_back(line);
  }

  // Lines stand by slot, those of a slot in the order of the dump.
  void GroupProfiles() {
    for (size_t i = 0; i < lines_.size(); ++i) {
      const bool same_slot = i > 0 && lines_[i].slot == lines_[i - 1].slot;
      const bool is_request_start = lines_[i].step <= std::min(kLateStepsMax, tau_ / 4);
      if (same_slot && !is_request_start && !profiles_.empty()) {
        ProfileLines& open = profiles_.back();
        if (Follows(open, first_step_, lines_[i])) {
          Append(lines_[i], &open);
          continue;
        }
        if (open.lines.size() == 1 && first_step_ == 0) {
          ++short_windows_;  // the first window of a staggered request
          profiles_.pop_back();
        } else {
          ++splits_;
        }
      }
      first_step_ = is_request_start ? 0 : lines_[i].step;
      Append(lines_[i], &profiles_.emplace_back());
    }
    std::sort(profiles_.begin(), profiles_.end(), [](const ProfileLines& a, const ProfileLines& b) {
      return a.lines[0].offset < b.lines[0].offset;
    });
  }

  absl::Status WriteProfile(const ProfileLines& profile, ImportProgress* progress) {
    const std::string place = PlaceOfLine(ranks_[0]->source().name(), profile.lines[0].line_number);
    const int64_t steps = static_cast<int64_t>(profile.lines.size()) * tau_;
    if (steps > kStepCountMax) {
      return BadInput(place, absl::StrCat("a request of ", steps, " steps from here on"),
                      absl::StrCat("give --tau-steps, or cut it to ", kStepCountMax, " steps"));
    }
    TraceRecord record;
    ProfileHeader* header = record.mutable_profile();
    header->set_model(options_.model);
    header->set_prompt_tokens(profile.prompt_least);
    header->set_step_count(static_cast<int32_t>(steps));
    header->set_tick_stride_steps(tau_);
    header->set_tokens_per_entry(tokens_per_entry_);
    header->set_csa_layer_count(options_.layers > 0 ? options_.layers : kFlashLayers);
    header->set_top_k(options_.topk > 0 ? options_.topk : kFlashTopK);
    header->set_selections(SELECTIONS_NONE);
    header->set_no_scores(true);
    header->mutable_decisions()->set_threshold_code(ThresholdCode());
    header->mutable_decisions()->set_pages_max(pages_max_);
    header->mutable_provenance()->set_recorded_with(
        absl::StrCat("FlashMemory's resident dump, slot ", profile.lines[0].slot));
    if (absl::Status status = ValidateProfileHeader(*header); !status.ok()) {
      return At(place, status);
    }
    TIERSCOPE_RETURN_IF_ERROR(writer_->Append(record));
    DumpLine line;
    for (size_t tick = 0; tick < profile.lines.size(); ++tick) {
      TIERSCOPE_RETURN_IF_ERROR(ranks_[0]->ReadAgain(profile.lines[tick], &line));
      FillDecision(static_cast<int32_t>(tick) * tau_, is_pages_,
                   is_pages_ ? PagesOf(line.entries) : line.entries, &record);
      TIERSCOPE_RETURN_IF_ERROR(writer_->Append(record));
      progress->Advance(profile.lines[tick].bytes);
    }
    ++result_->profiles;
    return absl::OkStatus();
  }

  // Rounded up to the 1/256 grid, as a scenario's threshold is.
  uint32_t ThresholdCode() const {
    const double code = 256.0 * options_.threshold;
    const auto floor = static_cast<uint32_t>(code);
    return floor + (static_cast<double>(floor) < code ? 1 : 0);
  }

  void AddNotes() const {
    std::vector<std::string>& notes = result_->notes;
    notes.push_back(absl::StrCat("decisions every ", tau_, " steps at threshold ",
                                 options_.threshold, ", up to ", pages_max_, " pages, kept as ",
                                 is_pages_ ? "whole pages" : "single entries",
                                 "; prompt lengths are known to ", tokens_per_entry_, " tokens"));
    if (late_lines_ > 0) {
      notes.push_back(absl::StrCat(late_lines_, " decisions carry a step up to ", kLateStepsMax,
                                   " off their tau: the writer's counter had moved on"));
    }
    if (short_windows_ > 0) {
      notes.push_back(
          absl::StrCat(short_windows_, " shorter first windows of staggered requests left out"));
    }
    if (splits_ > 0) {
      notes.push_back(absl::StrCat(
          splits_, " decisions do not follow from the one before and open a profile of their own"));
    }
  }

  const ImportOptions& options_;
  const int32_t tokens_per_entry_;
  ContainerWriter* writer_;
  ImportResult* result_;
  std::vector<std::unique_ptr<RankFile>> ranks_;
  std::vector<LineInfo> lines_;
  std::vector<ProfileLines> profiles_;
  int64_t first_step_ = 0;  // nominal, of the profile opened last
  int32_t tau_ = 0;
  bool is_pages_ = true;
  int32_t pages_max_ = 0;
  int64_t late_lines_ = 0, short_windows_ = 0, splits_ = 0;
};

}  // namespace

absl::Status ImportResidentDump(const std::vector<std::string>& files, const ImportOptions& options,
                                ContainerWriter* writer, ImportResult* result) {
  return DumpImporter(options, writer, result).Run(files);
}

}  // namespace tierscope
