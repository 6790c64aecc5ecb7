#include "real/op_content.h"

#include <algorithm>

#include "kernels/attention.h"
#include "kernels/index_score.h"
#include "kernels/kv_entry.h"
#include "kernels/paged.h"

namespace tierscope {
namespace {

constexpr uint8_t kScaleOfOne = 127;  // ue8m0

void FillFp8(uint8_t* values, int64_t count) {
  PlainBytes bytes;
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t byte = bytes.Next();
    values[i] = static_cast<uint8_t>((byte & 0x80) | (0x18 + (byte & 0x1f)));
  }
}

void FillBf16(uint16_t* values, int64_t count) {
  PlainBytes bytes;
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t byte = bytes.Next();
    values[i] = static_cast<uint16_t>((byte & 0x80) << 8 | (0x3e80 + (byte & 0x7f)));
  }
}

}  // namespace

std::vector<uint8_t> Fp8Values(int64_t count) {
  std::vector<uint8_t> values(static_cast<size_t>(count));
  FillFp8(values.data(), count);
  return values;
}

std::vector<uint16_t> Bf16Values(int64_t count) {
  std::vector<uint16_t> values(static_cast<size_t>(count));
  FillBf16(values.data(), count);
  return values;
}

std::vector<uint8_t> Densities(int64_t pages, PlainBytes* bytes) {
  std::vector<uint8_t> density(static_cast<size_t>(pages));
  for (uint8_t& entries : density) {
    entries = static_cast<uint8_t>(bytes->Next() % (kPageEntries + 1));
  }
  return density;
}

std::vector<uint8_t> KeyPage() {
  std::vector<uint8_t> page(kIndexPageBytes);
  FillFp8(page.data(), kIndexKeyPlaneBytes);
  std::fill_n(reinterpret_cast<float*>(page.data() + kIndexKeyPlaneBytes), kPageEntries, 0.05f);
  return page;
}

std::vector<uint8_t> KvPage() {
  std::vector<uint8_t> page(kKvPageLayerBytes);
  for (int32_t row = 0; row < kPageEntries; ++row) {
    uint8_t* values = page.data() + int64_t{row} * kKvRowBytes;
    FillFp8(values, kKvFp8Dim);
    FillBf16(reinterpret_cast<uint16_t*>(values + kKvFp8Dim), kKvDim - kKvFp8Dim);
  }
  std::fill_n(page.data() + kKvValuePlaneBytes, kPageEntries * kKvScaleBytes, kScaleOfOne);
  return page;
}

}  // namespace tierscope
