#include "traces/wire_record.h"

#include "absl/strings/str_cat.h"

#include "traces/trace.pb.h"

namespace tierscope {
namespace {

constexpr uint32_t kVarint = 0;
constexpr uint32_t kLengthDelimited = 2;

constexpr uint32_t Tag(int field, uint32_t type) {
  return static_cast<uint32_t>(field) << 3 | type;
}

// A cursor over wire bytes; a failed read leaves it at an undefined place.
class WireCursor {
 public:
  explicit WireCursor(absl::string_view bytes)
      : next_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(next_ + bytes.size()) {}
  bool done() const { return next_ == end_; }

  bool Varint(uint64_t* value) {
    *value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (next_ == end_) return false;
      const uint8_t byte = *next_++;
      *value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool Bytes(absl::string_view* bytes) {
    uint64_t size;
    if (!Varint(&size) || size > static_cast<uint64_t>(end_ - next_)) return false;
    *bytes = {reinterpret_cast<const char*>(next_), static_cast<size_t>(size)};
    next_ += size;
    return true;
  }

 private:
  const uint8_t* next_;
  const uint8_t* end_;
};

bool ReadInt32(WireCursor& cursor, int32_t* value) {
  uint64_t bits;
  if (!cursor.Varint(&bits)) return false;
  *value = static_cast<int32_t>(static_cast<int64_t>(bits));
  return true;
}

// Fields in rising order, each at most once: as protobuf writes them.
bool ReadFields(absl::string_view message, WireRecord* record) {
  const bool has_codes = record->kind != WireRecord::Kind::kDecision;
  const bool has_weights = record->kind == WireRecord::Kind::kSelection;
  WireCursor cursor(message);
  uint64_t last = 0;
  while (!cursor.done()) {
    uint64_t tag;
    if (!cursor.Varint(&tag) || tag <= last) return false;
    last = tag;
    bool read = false;
    // The messages number their common fields alike.
    if (tag == Tag(ScoreTick::kStepFieldNumber, kVarint)) read = ReadInt32(cursor, &record->step);
    if (tag == Tag(ScoreTick::kTargetLayerFieldNumber, kVarint)) {
      read = ReadInt32(cursor, &record->layer);
    }
    if (tag == Tag(ScoreTick::kEntryDeltaFieldNumber, kLengthDelimited)) {
      read = cursor.Bytes(&record->deltas);
    }
    if (has_codes && tag == Tag(ScoreTick::kCodesFieldNumber, kLengthDelimited)) {
      read = cursor.Bytes(&record->codes);
    }
    if (has_weights && tag == Tag(Selection::kWeightsFieldNumber, kLengthDelimited)) {
      read = cursor.Bytes(&record->weights);
    }
    if (!read) return false;
  }
  return true;
}

static_assert(int{ScoreTick::kStepFieldNumber} == int{Selection::kStepFieldNumber});
static_assert(int{ScoreTick::kTargetLayerFieldNumber} == int{Selection::kLayerFieldNumber});
static_assert(int{ScoreTick::kEntryDeltaFieldNumber} == int{Selection::kEntryDeltaFieldNumber});
static_assert(int{ScoreTick::kStepFieldNumber} == int{Decision::kStepFieldNumber});
static_assert(int{ScoreTick::kTargetLayerFieldNumber} == int{Decision::kIsPagesFieldNumber});
static_assert(int{ScoreTick::kEntryDeltaFieldNumber} == int{Decision::kIdDeltaFieldNumber});
static_assert(int{ScoreTick::kCodesFieldNumber} == int{Selection::kVotesFieldNumber});

// The value of a varint of two bytes or more that starts at `p`; advances it. False when it is cut
// or does not fit 32 bits.
bool LongDelta(const uint8_t*& p, const uint8_t* end, uint32_t* delta) {
  uint64_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (p == end) return false;
    const uint8_t byte = *p++;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *delta = static_cast<uint32_t>(value);
      return value <= UINT32_MAX;
    }
  }
  return false;
}

}  // namespace

bool ParseWireRecord(absl::string_view bytes, WireRecord* record) {
  *record = WireRecord();
  WireCursor cursor(bytes);
  uint64_t tag;
  absl::string_view message;
  if (!cursor.Varint(&tag) || !cursor.Bytes(&message) || !cursor.done()) return false;
  if (tag == Tag(TraceRecord::kTickFieldNumber, kLengthDelimited)) {
    record->kind = WireRecord::Kind::kTick;
  } else if (tag == Tag(TraceRecord::kSelectionFieldNumber, kLengthDelimited)) {
    record->kind = WireRecord::Kind::kSelection;
  } else if (tag == Tag(TraceRecord::kDecisionFieldNumber, kLengthDelimited)) {
    record->kind = WireRecord::Kind::kDecision;
  } else {
    return false;
  }
  return ReadFields(message, record);
}

absl::Status DecodeDeltas(absl::string_view deltas, int64_t history_entries,
                          std::vector<uint32_t>* buffer, std::span<const uint32_t>* entries) {
  if (buffer->size() < deltas.size()) buffer->resize(deltas.size());
  const auto* p = reinterpret_cast<const uint8_t*>(deltas.data());
  const uint8_t* const end = p + deltas.size();
  uint32_t* const begin = buffer->data();
  uint32_t* out = begin;
  uint64_t entry = 0;    // 2^26 deltas below 2^32 cannot overflow
  int64_t standing = 0;  // deltas of 0
  while (p != end) {
    uint32_t delta = p[0];
    if (delta < 0x80) {
      ++p;
    } else if (end - p >= 2 && p[1] < 0x80) {
      delta = (delta & 0x7f) | static_cast<uint32_t>(p[1]) << 7;
      p += 2;
    } else if (!LongDelta(p, end, &delta)) {
      return absl::DataLossError("an entry delta is no 32-bit number");
    }
    standing += delta == 0 ? 1 : 0;
    entry += delta;
    *out++ = static_cast<uint32_t>(entry);
  }
  *entries = {begin, out};
  const bool starts_at_0 = out != begin && *begin == 0;
  if (standing > (starts_at_0 ? 1 : 0)) return absl::DataLossError("entries do not rise");
  if (out != begin && entry >= static_cast<uint64_t>(history_entries)) {
    return absl::DataLossError(absl::StrCat("entry ", entry, " lies outside the history of ",
                                            history_entries, " entries"));
  }
  return absl::OkStatus();
}

}  // namespace tierscope
