#include "tests/testing/foreign_formats.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "traces/attention_trace.h"
#include "traces/npy_file.h"

namespace tierscope::testing {
namespace {

class ProfileLoader : public AttentionVisitor {
 public:
  absl::Status OnProfile(const ProfileHeader& profile) override {
    profiles.push_back({profile, {}});
    return absl::OkStatus();
  }
  absl::Status OnTick(int32_t, int32_t, std::span<const uint32_t>,
                      std::span<const uint8_t>) override {
    return absl::OkStatus();
  }
  absl::Status OnSelection(int32_t step, int32_t layer, std::span<const uint32_t> entries,
                           std::span<const uint8_t>) override {
    EXPECT_GE(layer, 0);
    auto& selections = profiles.back().selections;
    selections.resize(static_cast<size_t>(step) + 1);
    EXPECT_EQ(selections.back().size(), static_cast<size_t>(layer));
    selections.back().emplace_back(entries.begin(), entries.end());
    return absl::OkStatus();
  }
  absl::Status OnProfileEnd() override { return absl::OkStatus(); }

  std::vector<RecordedProfile> profiles;
};

void AppendWord(int32_t value, std::string* out) {
  char bytes[4];
  std::memcpy(bytes, &value, 4);
  out->append(bytes, 4);
}

}  // namespace

std::vector<RecordedProfile> LoadProfiles(const std::string& path) {
  ProfileLoader loader;
  const absl::Status status = ReadAttentionTrace(path, loader);
  EXPECT_TRUE(status.ok()) << status;
  return std::move(loader.profiles);
}

std::string AsRawCapture(const RecordedProfile& profile, int64_t prompt_rows) {
  const auto topk = static_cast<size_t>(profile.header.top_k());
  std::string out;
  for (int64_t i = 0; i < prompt_rows * profile.header.csa_layer_count(); ++i) {
    for (size_t k = 0; k < topk; ++k) AppendWord(k == 0 ? 0 : -1, &out);
  }
  Rng rng(5);
  for (const auto& layers : profile.selections) {
    for (std::vector<uint32_t> entries : layers) {
      for (size_t i = entries.size(); i > 1; --i) {
        std::swap(entries[i - 1], entries[rng.NextBelow(i)]);
      }
      for (const uint32_t entry : entries) AppendWord(static_cast<int32_t>(entry), &out);
      for (size_t k = entries.size(); k < topk; ++k) AppendWord(-1, &out);
    }
  }
  return out;
}

std::string AsNpy(const RecordedProfile& profile, int64_t prompt_rows) {
  const auto rows = static_cast<int64_t>(profile.selections.size()) + prompt_rows;
  return NpyHeader(rows, profile.header.csa_layer_count(), profile.header.top_k()) +
         AsRawCapture(profile, prompt_rows);
}

std::string Base64(absl::string_view bytes) { return absl::Base64Escape(bytes); }

std::string AsStepLog(const std::vector<RecordedProfile>& profiles) {
  std::string out;
  size_t steps = 0;
  for (const RecordedProfile& profile : profiles) {
    steps = std::max(steps, profile.selections.size());
  }
  for (size_t step = 0; step < steps; ++step) {
    for (size_t request = 0; request < profiles.size(); ++request) {
      const RecordedProfile& profile = profiles[request];
      if (step >= profile.selections.size()) continue;
      for (size_t layer = 0; layer < profile.selections[step].size(); ++layer) {
        std::vector<int64_t> positions;
        for (const uint32_t entry : profile.selections[step][layer]) {
          positions.push_back(int64_t{entry} * profile.header.tokens_per_entry());
        }
        absl::StrAppend(&out, "{\"request_id\":\"r", request, "\",\"layer_id\":", layer,
                        ",\"step_idx\":", step, ",\"selected_token_pos\":[",
                        absl::StrJoin(positions, ","), "]}\n");
      }
    }
  }
  return out;
}

}  // namespace tierscope::testing
