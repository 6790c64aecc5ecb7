// A backend that hands everything to another one: the base of those that change some of it.
#ifndef TIERSCOPE_REAL_FORWARDING_BACKEND_H_
#define TIERSCOPE_REAL_FORWARDING_BACKEND_H_

#include <string>
#include <vector>

#include "real/backend.h"

namespace tierscope {

class ForwardingBackend : public Backend {
 public:
  // `inner` outlives it.
  explicit ForwardingBackend(Backend& inner) : inner_(inner) {}

  const DeviceDescription& device() const override { return inner_.device(); }
  absl::StatusOr<uint8_t*> Allocate(const std::string& name, Arena arena, int64_t bytes) override {
    return inner_.Allocate(name, arena, bytes);
  }
  std::vector<NamedMemory> footprint() const override { return inner_.footprint(); }
  std::vector<NamedMemory> footprint_beside() const override { return inner_.footprint_beside(); }
  absl::StatusOr<int32_t> MakeBallast(const std::string& name,
                                      std::span<const GemmShape> products_max) override {
    return inner_.MakeBallast(name, products_max);
  }
  absl::Status Ballast(Stream stream, int32_t ballast,
                       std::span<const GemmShape> products) override {
    return inner_.Ballast(stream, ballast, products);
  }
  absl::Status MemoryScore(Stream stream, const MemoryScoreParams& params) override {
    return inner_.MemoryScore(stream, params);
  }
  absl::Status NativeScore(Stream stream, const NativeScoreParams& params) override {
    return inner_.NativeScore(stream, params);
  }
  absl::Status SelectPages(Stream stream, const PageSelectParams& params) override {
    return inner_.SelectPages(stream, params);
  }
  absl::Status TopEntries(Stream stream, const TopEntriesParams& params) override {
    return inner_.TopEntries(stream, params);
  }
  absl::Status Attention(Stream stream, const AttentionParams& params) override {
    return inner_.Attention(stream, params);
  }
  absl::Status Recall(Stream stream, const PageTransfer& transfer) override {
    return inner_.Recall(stream, transfer);
  }
  absl::Status Writeback(Stream stream, const PageTransfer& transfer) override {
    return inner_.Writeback(stream, transfer);
  }
  absl::Status Copy(Stream stream, void* target, const void* source, int64_t bytes) override {
    return inner_.Copy(stream, target, source, bytes);
  }
  absl::Status Synchronize(Stream stream) override { return inner_.Synchronize(stream); }
  absl::StatusOr<bool> BeginSequence(Stream stream, int64_t key) override {
    return inner_.BeginSequence(stream, key);
  }
  absl::Status EndSequence(Stream stream) override { return inner_.EndSequence(stream); }
  int64_t Mark(Stream stream) override { return inner_.Mark(stream); }
  int64_t NsOfMark(int64_t mark) override { return inner_.NsOfMark(mark); }
  int64_t HostNs() override { return inner_.HostNs(); }
  absl::Status StartTrace() override { return inner_.StartTrace(); }
  bool tracing() const override { return inner_.tracing(); }
  void Tag(uint64_t tag) override { inner_.Tag(tag); }
  absl::StatusOr<ActivityTrace> StopTrace() override { return inner_.StopTrace(); }
  std::string DeviceState() override { return inner_.DeviceState(); }

 private:
  Backend& inner_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_FORWARDING_BACKEND_H_
