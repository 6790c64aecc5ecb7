// An attention trace in the formats of serving engines, for round trips: what is written here and
// imported again must give the same selections and decisions. Small traces only: all is in memory.
#ifndef TIERSCOPE_TESTS_TESTING_FOREIGN_FORMATS_H_
#define TIERSCOPE_TESTS_TESTING_FOREIGN_FORMATS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "traces/trace.pb.h"

namespace tierscope::testing {

// One profile of a trace with its selections per layer.
struct RecordedProfile {
  ProfileHeader header;
  // [step][layer], entries rising.
  std::vector<std::vector<std::vector<uint32_t>>> selections;
};

// Every profile of a trace whose selections stand per layer; fails the test otherwise.
std::vector<RecordedProfile> LoadProfiles(const std::string& path);

// int32 [tokens, layers, topk] as .npy, rows of the decode steps behind `prompt_rows` rows of the
// prompt. Entries of a row stand in an order that is not theirs, -1 behind them.
std::string AsNpy(const RecordedProfile& profile, int64_t prompt_rows);

// The same values without a header.
std::string AsRawCapture(const RecordedProfile& profile, int64_t prompt_rows);

std::string Base64(absl::string_view bytes);

// Lines of request_id, layer_id, step_idx, selected_token_pos, all profiles interleaved by step.
std::string AsStepLog(const std::vector<RecordedProfile>& profiles);

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_TESTING_FOREIGN_FORMATS_H_
