#include <string>
#include <vector>

#include "sim/base/check.h"
#include "tests/fuzz/inputs.h"
#include "tests/fuzz/targets.h"
#include "traces/trace.pb.h"
#include "traces/wire_record.h"

namespace tierscope::testing {
namespace {

using Deltas = google::protobuf::RepeatedField<uint32_t>;

// Sums as DecodeDeltas must find them, or refuse.
void CheckDeltas(absl::string_view bytes, const Deltas& deltas) {
  constexpr int64_t kHistoryEntries = 1 << 16;
  std::vector<uint32_t> buffer;
  std::span<const uint32_t> entries;
  const absl::Status status = DecodeDeltas(bytes, kHistoryEntries, &buffer, &entries);
  if (!status.ok()) return CheckMessage(status);
  TIERSCOPE_CHECK(static_cast<int>(entries.size()) == deltas.size());
  uint64_t sum = 0;
  for (int i = 0; i < deltas.size(); ++i) {
    TIERSCOPE_CHECK(i == 0 || deltas[i] > 0);
    sum += deltas[i];
    TIERSCOPE_CHECK(entries[static_cast<size_t>(i)] == sum && sum < kHistoryEntries);
  }
}

}  // namespace

// The reader in place against protobuf's: what it takes, it takes as protobuf does.
void FuzzWireRecord(absl::string_view input) {
  WireRecord wire;
  if (!ParseWireRecord(input, &wire)) return;
  TraceRecord record;
  if (!record.ParseFromArray(input.data(), static_cast<int>(input.size()))) return;
  switch (wire.kind) {
    case WireRecord::Kind::kTick:
      TIERSCOPE_CHECK(wire.step == record.tick().step());
      TIERSCOPE_CHECK(wire.layer == record.tick().target_layer());
      TIERSCOPE_CHECK(wire.codes == absl::string_view(record.tick().codes()));
      return CheckDeltas(wire.deltas, record.tick().entry_delta());
    case WireRecord::Kind::kSelection:
      TIERSCOPE_CHECK(wire.step == record.selection().step());
      TIERSCOPE_CHECK(wire.layer == record.selection().layer());
      TIERSCOPE_CHECK(wire.codes == absl::string_view(record.selection().votes()));
      TIERSCOPE_CHECK(wire.weights == absl::string_view(record.selection().weights()));
      return CheckDeltas(wire.deltas, record.selection().entry_delta());
    case WireRecord::Kind::kDecision:
      TIERSCOPE_CHECK(wire.step == record.decision().step());
      TIERSCOPE_CHECK((wire.layer != 0) == record.decision().is_pages());
      return CheckDeltas(wire.deltas, record.decision().id_delta());
  }
}

}  // namespace tierscope::testing
