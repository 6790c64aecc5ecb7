// How a replica runs, apart from what it simulates: none of it changes a result. Tests and
// measurements set these; a scenario cannot.
#ifndef TIERSCOPE_SIM_ENGINE_REPLICA_OPTIONS_H_
#define TIERSCOPE_SIM_ENGINE_REPLICA_OPTIONS_H_

#include <cstdint>

namespace tierscope {

class CoverageTally;

// Damage for the tests of the watchdog: what happens to the events of one kind from the `nth` on.
struct Fault {
  enum Kind : uint8_t {
    kNone,
    kDrop,      // the nth event is lost
    kPostpone,  // each comes again a second later, for ever: time moves, nothing happens
    kRepeat,    // each comes again at once, for ever: time stands still
  };
  Kind kind = kNone;
  uint8_t phase = 0;  // Replica::Phase
  int64_t nth = 1;
};

struct ReplicaOptions {
  bool leap = true;   // steps between two events run without the queue
  bool check = true;  // the invariants of conservation.h
  Fault fault;
  CoverageTally* coverage = nullptr;  // null: nobody asks where misses are
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_ENGINE_REPLICA_OPTIONS_H_
