#include "traces/wire_record.h"

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "traces/attention_trace.h"
#include "traces/trace.pb.h"

namespace tierscope {
namespace {

std::vector<uint32_t> RisingEntries(Rng& rng, uint64_t most_gap) {
  std::vector<uint32_t> entries;
  uint64_t entry = rng.NextBelow(most_gap);
  const size_t count = rng.NextBelow(200);
  while (entries.size() < count && entry < (uint64_t{1} << 32)) {
    entries.push_back(static_cast<uint32_t>(entry));
    entry += 1 + rng.NextBelow(most_gap);
  }
  return entries;
}

// What protobuf writes is read back the same, over gaps that take one to five bytes.
TEST(WireRecordTest, ReadsWhatProtobufWrites) {
  Rng rng(4);
  std::vector<uint32_t> buffer;
  for (int round = 0; round < 2000; ++round) {
    const std::vector<uint32_t> entries =
        RisingEntries(rng, uint64_t{1} << (1 + rng.NextBelow(31)));
    std::vector<uint8_t> codes;
    for (size_t i = 0; i < entries.size(); ++i) {
      codes.push_back(static_cast<uint8_t>(rng.NextUint64()));
    }
    const auto step = static_cast<int32_t>(rng.NextBelow(1 << 20));
    const bool is_tick = rng.NextBelow(2) == 0;
    TraceRecord record;
    if (is_tick) {
      FillTick(step, 12, entries, codes, &record);
    } else {
      FillSelection(step, kAllLayers, entries, codes, codes, &record);
    }
    const std::string bytes = record.SerializeAsString();
    WireRecord wire;
    ASSERT_TRUE(ParseWireRecord(bytes, &wire));
    EXPECT_EQ(wire.kind, is_tick ? WireRecord::Kind::kTick : WireRecord::Kind::kSelection);
    EXPECT_EQ(wire.step, step);
    EXPECT_EQ(wire.layer, is_tick ? 12 : kAllLayers);
    const std::string expected(codes.begin(), codes.end());
    EXPECT_EQ(std::string(wire.codes), expected);
    EXPECT_EQ(std::string(wire.weights), is_tick ? "" : expected);
    std::span<const uint32_t> decoded;
    ASSERT_TRUE(DecodeDeltas(wire.deltas, int64_t{1} << 32, &buffer, &decoded).ok());
    EXPECT_EQ(std::vector<uint32_t>(decoded.begin(), decoded.end()), entries);
  }
}

// Whatever the generic parser refuses is refused here; whatever is accepted here it reads the same.
TEST(WireRecordTest, NeverReadsWhatProtobufReadsDifferently) {
  Rng rng(5);
  TraceRecord record;
  FillSelection(70, kAllLayers, std::vector<uint32_t>{3, 200, 70000}, std::vector<uint8_t>{1, 2, 3},
                std::vector<uint8_t>{9, 8, 7}, &record);
  const std::string whole = record.SerializeAsString();
  int accepted = 0;
  for (int round = 0; round < 200000; ++round) {
    std::string bytes = whole;
    if (rng.NextBelow(4) == 0) bytes.resize(rng.NextBelow(bytes.size() + 1));
    for (uint64_t i = rng.NextBelow(3); i > 0 && !bytes.empty(); --i) {
      bytes[rng.NextBelow(bytes.size())] = static_cast<char>(rng.NextUint64());
    }
    WireRecord wire;
    if (!ParseWireRecord(bytes, &wire)) continue;
    std::vector<uint32_t> buffer;
    std::span<const uint32_t> entries;
    const bool decoded = DecodeDeltas(wire.deltas, int64_t{1} << 32, &buffer, &entries).ok();
    TraceRecord parsed;
    if (!parsed.ParseFromString(bytes)) {
      ASSERT_FALSE(decoded);  // cut inside the packed deltas, which only DecodeDeltas looks at
      continue;
    }
    ++accepted;
    if (parsed.has_selection()) {
      ASSERT_EQ(wire.kind, WireRecord::Kind::kSelection);
      ASSERT_EQ(wire.step, parsed.selection().step());
      ASSERT_EQ(wire.layer, parsed.selection().layer());
      ASSERT_EQ(std::string(wire.codes), parsed.selection().votes());
      if (decoded) {
        ASSERT_EQ(entries.size(), static_cast<size_t>(parsed.selection().entry_delta_size()));
      }
    }
  }
  EXPECT_GT(accepted, 10000);
}

TEST(WireRecordTest, LeavesOtherEncodingsToTheGenericParser) {
  TraceRecord header;
  header.mutable_profile()->set_model("m");
  WireRecord wire;
  EXPECT_FALSE(ParseWireRecord(header.SerializeAsString(), &wire));
  EXPECT_FALSE(ParseWireRecord("", &wire));
  // tick { step: 1 entry_delta: 5 } with the delta unpacked: 12 04 | 08 01 18 05.
  const std::string unpacked("\x12\x04\x08\x01\x18\x05", 6);
  TraceRecord parsed;
  ASSERT_TRUE(parsed.ParseFromString(unpacked));
  ASSERT_EQ(parsed.tick().entry_delta(0), 5u);
  EXPECT_FALSE(ParseWireRecord(unpacked, &wire));
  EXPECT_TRUE(ParseWireRecord(parsed.SerializeAsString(), &wire));
}

TEST(WireRecordTest, DeltasMustRiseAndStayInside) {
  const auto decodes = [](absl::string_view deltas, int64_t history_entries) {
    std::vector<uint32_t> buffer;
    std::span<const uint32_t> entries;
    return DecodeDeltas(deltas, history_entries, &buffer, &entries).ok();
  };
  EXPECT_TRUE(decodes(absl::string_view("\0\1", 2), 2));
  EXPECT_FALSE(decodes(absl::string_view("\0\0", 2), 2));
  EXPECT_FALSE(decodes(absl::string_view("\1\0", 2), 10));
  EXPECT_FALSE(decodes(absl::string_view("\1\1", 2), 2));
  EXPECT_FALSE(decodes("\x80", 10));
  EXPECT_FALSE(decodes("\xff\xff\xff\xff\x7f", int64_t{1} << 40));
}

}  // namespace
}  // namespace tierscope
