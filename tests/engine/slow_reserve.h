// The reserve with sets and the slow eviction policies: which pages hold a block, which of them are
// pinned, and who leaves. A key is request << 16 | page.
#ifndef TIERSCOPE_TESTS_ENGINE_SLOW_RESERVE_H_
#define TIERSCOPE_TESTS_ENGINE_SLOW_RESERVE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "scenarios/scenario.pb.h"
#include "tests/testing/slow_eviction.h"

namespace tierscope::testing {

// Batch step, then the order of uses in it; the largest is used last.
using NextUseOfPage = std::pair<int64_t, uint64_t>;

class SlowReserve {
 public:
  SlowReserve(int64_t blocks, Policy::Eviction eviction) : blocks_(blocks) {
    if (eviction == Policy::LRU || eviction == Policy::LRU_PROTECTED) Use<SlowLru>();
    if (eviction == Policy::FIFO) Use<SlowFifo>();
    if (eviction == Policy::CLOCK) Use<SlowClock>();
    if (eviction == Policy::SIEVE) Use<SlowSieve>();
    if (eviction == Policy::S3FIFO) Use<SlowS3Fifo>();
  }

  bool Has(uint64_t key) const { return held_.count(key) > 0; }
  bool Pinned(uint64_t key) const { return Has(key) && free_to_go_.count(key) == 0; }
  int64_t held() const { return static_cast<int64_t>(held_.size()); }
  std::vector<uint64_t> HeldBy(int64_t request) const {
    std::vector<uint64_t> keys;
    for (uint64_t key : held_) {
      if (static_cast<int64_t>(key >> 16) == request) keys.push_back(key);
    }
    return keys;
  }

  void Hit(uint64_t key) {
    if (policy_) policy_->Hit(key);
  }
  void Pin(uint64_t key) {
    free_to_go_.erase(key);
    if (policy_) policy_->Remove(key);
  }
  void Unpin(uint64_t key) {
    free_to_go_.insert(key);
    if (policy_) policy_->Insert(key);
  }
  void Drop(uint64_t key) {
    if (!Pinned(key)) Pin(key);
    held_.erase(key);
  }
  // A block for `key`, from a victim where none is left; `next_use` is asked under BELADY.
  std::optional<uint64_t> Take(uint64_t key, bool pinned,
                               const std::function<NextUseOfPage(uint64_t)>& next_use) {
    std::optional<uint64_t> victim;
    if (held() == blocks_) {
      victim = policy_ ? policy_->Evict() : LastUsed(next_use);
      if (!victim) return key;  // nobody may go: never right
      held_.erase(*victim);
      free_to_go_.erase(*victim);
    }
    held_.insert(key);
    if (!pinned) Unpin(key);
    return victim;
  }

 private:
  struct Evictor {
    virtual ~Evictor() = default;
    virtual void Hit(uint64_t key) = 0;
    virtual void Insert(uint64_t key) = 0;
    virtual void Remove(uint64_t key) = 0;
    virtual std::optional<uint64_t> Evict() = 0;
  };
  template <typename Slow>
  struct EvictorOf : Evictor {
    explicit EvictorOf(int64_t blocks) : slow(blocks) {}
    void Hit(uint64_t key) override { slow.Hit(key); }
    void Insert(uint64_t key) override { slow.Insert(key); }
    void Remove(uint64_t key) override { slow.Remove(key); }
    std::optional<uint64_t> Evict() override { return slow.Evict(); }
    Slow slow;
  };
  template <typename Slow>
  void Use() {
    policy_ = std::make_unique<EvictorOf<Slow>>(blocks_);
  }
  std::optional<uint64_t> LastUsed(const std::function<NextUseOfPage(uint64_t)>& next_use) const {
    std::optional<uint64_t> last;
    for (uint64_t key : free_to_go_) {
      if (!last || next_use(key) > next_use(*last)) last = key;
    }
    return last;
  }

  int64_t blocks_;
  std::set<uint64_t> held_;
  std::set<uint64_t> free_to_go_;    // held and not pinned
  std::unique_ptr<Evictor> policy_;  // none under BELADY
};

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_ENGINE_SLOW_RESERVE_H_
