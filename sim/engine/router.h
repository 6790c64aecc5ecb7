// Which replica a request goes to, decided when it arrives, also under DISAGGREGATED: a router of
// prefill and decode workers names both then (SGLang), and what a request reuses of a prefix store
// decides how much is prefilled.
//
//   ROUND_ROBIN   the next in turn, whatever it has to do
//   LEAST_LOADED  the fewest outstanding tokens: prompt and whole output of every request there.
//                 vLLM and SGLang count requests (vLLM's data-parallel balancer: 4 x waiting +
//                 running; SGLang: shortest queue); at 4K beside 512K tokens that says little, and
//                 the output's length, which a real router does not know, is taken as known
//   PREFIX_AWARE  the replica whose prefix store has most leading blocks of the prompt;
//   LEAST_LOADED
//                 if none has any, and while the load is out of balance: most - fewest requests at
//                 a replica > routing_imbalance_requests and most > routing_imbalance_factor x
//                 fewest. After SGLang's cache_aware policy (sgl-router; defaults 64 and 1.5),
//                 which keeps an approximate tree of what it routed where, and a least share of the
//                 prompt that must match (0.3); here the stores themselves are asked and any block
//                 counts
//
// Ties go to the fewest outstanding tokens, then to the first. Within a replica a request goes to
// the dp_attention group with the fewest outstanding tokens, or to the one that has its prefix.
// Stateless but for the turn; thread-compatible. Cost: linear in the groups.
#ifndef TIERSCOPE_SIM_ENGINE_ROUTER_H_
#define TIERSCOPE_SIM_ENGINE_ROUTER_H_

#include <cstdint>

#include "absl/types/span.h"

#include "scenarios/scenario.pb.h"

namespace tierscope {

// What a router knows of one dp_attention group.
struct GroupLoad {
  int64_t outstanding_tokens = 0;
  int64_t requests = 0;       // that arrived and have not finished
  int32_t prefix_blocks = 0;  // leading blocks of the request at hand that its store has
};

class Router {
 public:
  explicit Router(const Engine& engine);

  bool looks_at_prefixes() const { return routing_ == Engine::PREFIX_AWARE; }
  // The group that the request goes to. `groups`: those of replica 0, then of replica 1, ...
  int32_t Route(absl::Span<const GroupLoad> groups);

 private:
  int32_t LeastLoaded(absl::Span<const GroupLoad> groups) const;
  int32_t LeastLoadedOf(int32_t replica, absl::Span<const GroupLoad> groups) const;
  bool Balanced(absl::Span<const GroupLoad> groups) const;
  GroupLoad LoadOf(int32_t replica, absl::Span<const GroupLoad> groups) const;

  const Engine::Routing routing_;
  const int32_t replicas_;
  const int32_t groups_;  // of a replica
  const int64_t imbalance_requests_;
  const double imbalance_factor_;
  int32_t turn_ = 0;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_ROUTER_H_
