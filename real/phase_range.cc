#include "real/phase_range.h"

#ifdef TIERSCOPE_HAVE_NVTX

#include <nvtx3/nvToolsExt.h>

#include <array>

namespace tierscope {
namespace {

constexpr int kTickName = kPhaseCount;

struct Domain {
  Domain() : domain(nvtxDomainCreateA("tierscope")) {
    for (int i = 0; i < kPhaseCount; ++i) {
      const std::string name(kPhaseNames[i]);
      names[static_cast<size_t>(i)] = nvtxDomainRegisterStringA(domain, name.c_str());
    }
    names[kTickName] = nvtxDomainRegisterStringA(domain, "tick");
  }
  nvtxDomainHandle_t domain;
  std::array<nvtxStringHandle_t, kPhaseCount + 1> names;
};

const Domain& TheDomain() {
  static const auto& domain = *new Domain;
  return domain;
}

}  // namespace

PhaseRange::PhaseRange(int name, int64_t number) {
  nvtxEventAttributes_t attributes{};
  attributes.version = NVTX_VERSION;
  attributes.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
  attributes.payloadType = NVTX_PAYLOAD_TYPE_INT64;
  attributes.payload.llValue = number;
  attributes.messageType = NVTX_MESSAGE_TYPE_REGISTERED;
  attributes.message.registered = TheDomain().names[static_cast<size_t>(name)];
  nvtxDomainRangePushEx(TheDomain().domain, &attributes);
}

PhaseRange::~PhaseRange() { nvtxDomainRangePop(TheDomain().domain); }

}  // namespace tierscope

#else

namespace tierscope {

constexpr int kTickName = kPhaseCount;
PhaseRange::PhaseRange(int, int64_t) {}
PhaseRange::~PhaseRange() = default;

}  // namespace tierscope

#endif  // TIERSCOPE_HAVE_NVTX

namespace tierscope {

PhaseRange::PhaseRange(Phase phase, int64_t number) : PhaseRange(static_cast<int>(phase), number) {}
PhaseRange PhaseRange::Tick(int64_t tick) { return PhaseRange(kTickName, tick); }

}  // namespace tierscope
