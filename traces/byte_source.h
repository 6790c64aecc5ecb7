// Bytes at an offset, from a file or from memory, for readers that stream. Thread-safe once made.
#ifndef TIERSCOPE_TRACES_BYTE_SOURCE_H_
#define TIERSCOPE_TRACES_BYTE_SOURCE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tierscope {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills out[0, bytes) from `offset` on. Error: the source ends earlier, or the disk.
  virtual absl::Status ReadAt(int64_t offset, char* out, int64_t bytes) const = 0;
  virtual int64_t size_bytes() const = 0;
  // What messages call it.
  virtual const std::string& name() const = 0;
};

// An open regular file. Errors: missing, unreadable, no regular file, empty.
absl::StatusOr<std::unique_ptr<ByteSource>> OpenFileSource(const std::string& path);

// Bytes in memory, owned by the source.
std::unique_ptr<ByteSource> MakeMemorySource(std::string name, std::string bytes);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_BYTE_SOURCE_H_
