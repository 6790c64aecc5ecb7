// Distinct integer ids: an id of one kind does not convert to another.
#ifndef TIERSCOPE_SIM_BASE_IDS_H_
#define TIERSCOPE_SIM_BASE_IDS_H_

#include <compare>
#include <cstdint>

namespace tierscope {

template <typename Tag>
struct Id {
  int32_t value = -1;
  constexpr bool valid() const { return value >= 0; }
  friend constexpr auto operator<=>(Id, Id) = default;
};

using RequestId = Id<struct RequestTag>;  // position in the run's table of requests
using ProfileId = Id<struct ProfileTag>;  // position in the distilled attention trace

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_BASE_IDS_H_
