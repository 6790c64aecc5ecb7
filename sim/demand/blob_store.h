// Arrays kept in memory up to a bound and beyond it in a file that has no name, so that nothing is
// left behind however the process ends. Written by one thread, then read by many.
#ifndef TIERSCOPE_SIM_DEMAND_BLOB_STORE_H_
#define TIERSCOPE_SIM_DEMAND_BLOB_STORE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tierscope {

class BlobStore {
 public:
  // `folder`: where the file is made, if it comes to that.
  BlobStore(int64_t memory_bytes_max, std::string folder)
      : memory_bytes_max_(memory_bytes_max), folder_(std::move(folder)) {}
  BlobStore(BlobStore&& other) noexcept;
  BlobStore& operator=(BlobStore&&) = delete;
  ~BlobStore();

  // Keeps the array; returns its number. Error: the file cannot be made or written.
  template <typename T>
  absl::StatusOr<size_t> Put(std::span<const T> values) {
    return PutBytes(values.data(), values.size_bytes());
  }
  // The array of Put. It lives as long as the store and `scratch`, which is used where it was
  // spilled. Thread-safe after the last Put. Error: the file cannot be read.
  template <typename T>
  absl::StatusOr<std::span<const T>> Get(size_t number, std::vector<char>& scratch) const {
    absl::StatusOr<std::span<const char>> bytes = GetBytes(number, scratch);
    if (!bytes.ok()) return bytes.status();
    return std::span<const T>(reinterpret_cast<const T*>(bytes->data()), bytes->size() / sizeof(T));
  }

  int64_t memory_bytes() const { return memory_bytes_; }
  int64_t file_bytes() const { return file_bytes_; }

 private:
  struct Blob {
    std::vector<char> memory;
    int64_t file_offset = -1;  // -1: in memory
    size_t file_size = 0;
  };
  absl::StatusOr<size_t> PutBytes(const void* bytes, size_t size);
  absl::StatusOr<std::span<const char>> GetBytes(size_t number, std::vector<char>& scratch) const;
  absl::Status OpenFile();

  int64_t memory_bytes_max_;
  std::string folder_;
  std::vector<Blob> blobs_;
  int64_t memory_bytes_ = 0;
  int64_t file_bytes_ = 0;
  int descriptor_ = -1;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_DEMAND_BLOB_STORE_H_
