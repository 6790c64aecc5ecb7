// Which recorded profile serves which simulated request.
#ifndef TIERSCOPE_SIM_DEMAND_ASSIGNMENT_H_
#define TIERSCOPE_SIM_DEMAND_ASSIGNMENT_H_

#include <cstdint>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/rng.h"
#include "sim/demand/demand.h"

namespace tierscope {

// A profile and the tick position at which the request's step 0 stands.
struct ProfileStart {
  ProfileId profile;
  int32_t position = 0;
};

// Assigns profiles to requests in order of admission: among the profiles whose prompt length is
// nearest to the request's (the shorter on a tie), one at random, at its first tick or at a random
// one from which the request does not run past the profile's end (at any, if it is too long for
// that); under a demand with a first_start not before that tick. The recording is not rescaled.
// Deterministic in the seed. One owner.
class ProfileAssigner {
 public:
  // `demand` outlives the assigner and holds at least one profile.
  ProfileAssigner(const WindowDemand& demand, uint64_t seed, bool random_offset);
  // `steps`: own steps of the request after its first.
  ProfileStart Assign(int64_t context_tokens, int64_t steps);

 private:
  struct Group {
    int64_t prompt_tokens;
    std::vector<int32_t> profiles;
  };
  const Group& Nearest(int64_t context_tokens) const;

  const WindowDemand& demand_;
  std::vector<Group> groups_;  // by rising prompt_tokens
  Rng rng_;
  bool random_offset_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_DEMAND_ASSIGNMENT_H_
