#include "tests/fuzz/inputs.h"

#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "sim/base/check.h"
#include "sim/base/quoted.h"
#include "tests/testing/temp_folder.h"
#include "traces/container_format.h"

namespace tierscope::testing {
namespace {

constexpr size_t kFrameRecords = 4;

void AppendVarint(size_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

struct CompressorCloser {
  void operator()(ZSTD_CCtx* compressor) const { ZSTD_freeCCtx(compressor); }
};

std::string Compressed(const std::string& raw) {
  static const std::unique_ptr<ZSTD_CCtx, CompressorCloser> compressor(ZSTD_createCCtx());
  ZSTD_CCtx_setParameter(compressor.get(), ZSTD_c_compressionLevel, 1);
  ZSTD_CCtx_setParameter(compressor.get(), ZSTD_c_checksumFlag, 1);
  std::string frame(ZSTD_compressBound(raw.size()), '\0');
  const size_t bytes =
      ZSTD_compress2(compressor.get(), frame.data(), frame.size(), raw.data(), raw.size());
  TIERSCOPE_CHECK(ZSTD_isError(bytes) == 0);
  frame.resize(bytes);
  return frame;
}

}  // namespace

MemoryFile::MemoryFile() : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {
  TIERSCOPE_CHECK(descriptor_ >= 0);
  path_ = absl::StrCat("/proc/self/fd/", descriptor_);
}

MemoryFile::~MemoryFile() { close(descriptor_); }

const std::string& MemoryFile::Fill(absl::string_view bytes) {
  const auto size = static_cast<ssize_t>(bytes.size());
  TIERSCOPE_CHECK(ftruncate(descriptor_, size) == 0);
  TIERSCOPE_CHECK(pwrite(descriptor_, bytes.data(), bytes.size(), 0) == size);
  return path_;
}

std::string ScratchPath() {
  static const TempFolder folder;
  return folder.File("scratch");
}

void CheckMessage(const absl::Status& status, size_t bytes_max) {
  TIERSCOPE_CHECK(!status.ok());
  const absl::string_view message = status.message();
  TIERSCOPE_CHECK(!message.empty());
  TIERSCOPE_CHECK(message.size() <= bytes_max);
  TIERSCOPE_CHECK(IsPlainText(message));
}

void CheckError(const absl::Status& status, absl::string_view path) {
  CheckMessage(status);
  TIERSCOPE_CHECK(absl::StartsWith(status.message(), path));
}

std::vector<std::string> SplitRecords(absl::string_view input) {
  std::vector<std::string> records;
  while (!input.empty()) {
    size_t length = 0;
    for (int shift = 0; !input.empty() && shift <= 21; shift += 7) {
      const auto byte = static_cast<uint8_t>(input[0]);
      input.remove_prefix(1);
      length |= static_cast<size_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    records.emplace_back(input.substr(0, length));
    input.remove_prefix(std::min(length, input.size()));
  }
  return records;
}

std::string JoinRecords(const std::vector<std::string>& records) {
  std::string joined;
  for (const std::string& record : records) {
    AppendVarint(record.size(), &joined);
    joined += record;
  }
  return joined;
}

std::string ContainerOf(const std::vector<std::string>& records) {
  std::string file(container::Head());
  container::Index index;
  index.record_count = static_cast<int64_t>(records.size());
  for (size_t begin = 0; begin < records.size(); begin += kFrameRecords) {
    const size_t end = std::min(begin + kFrameRecords, records.size());
    const std::string raw = JoinRecords({records.begin() + static_cast<std::ptrdiff_t>(begin),
                                         records.begin() + static_cast<std::ptrdiff_t>(end)});
    const std::string frame = Compressed(raw);
    index.frames.push_back({static_cast<int64_t>(file.size()), static_cast<int64_t>(frame.size()),
                            static_cast<int64_t>(raw.size()), static_cast<int64_t>(end - begin),
                            container::DigestOf(frame)});
    file += frame;
  }
  return file + container::EncodeIndex(index);
}

}  // namespace tierscope::testing
