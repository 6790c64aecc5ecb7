// Each invariant fires on a run that breaks it, and on that one alone.
#include "sim/engine/conservation.h"

#include <functional>

#include "gtest/gtest.h"

namespace tierscope {
namespace {

constexpr SimTime At(int64_t ns) { return SimTime{ns}; }

struct Book {
  Conservation conservation{true};
  RunEnd end;
};

// Two requests: one from 0 to 100, in the batch from 10 to 100, 5 tokens; one from 50 on, in the
// batch from 60 on, 2 tokens when the run ends at 120. One more is rejected. Decode takes the time
// from 10 on.
Book SoundRun() {
  Book run;
  Conservation& c = run.conservation;
  c.Arrive(At(0));
  c.Join(At(10));
  c.Arrive(At(20));
  c.Leave(At(20), At(20), 0);
  c.Arrive(At(50));
  c.Join(At(60));
  c.LeaveBatch(At(100), At(10));
  c.Leave(At(100), At(0), 5);
  for (int64_t ns : {0, 10, 20, 20, 50}) c.Clock(At(ns));
  c.Hbm(10, 20, 20);
  c.Host(10, 20, 20);
  run.end.end = At(120);
  run.end.arrived = 3;
  run.end.finished = run.end.rejected = run.end.unfinished = 1;
  run.end.unfinished_ns = 70;
  run.end.unfinished_tokens = 2;
  run.end.in_batch = 1;
  run.end.in_batch_ns = 60;
  run.end.tokens_counted = 7;
  run.end.decode = {105};
  run.end.idle = {10};
  run.end.tail = {5};
  run.end.blocks = run.end.blocks_in_use_peak = 8;
  c.Landed(200);
  c.Landed(100);
  run.end.blocks_recalled = 3;
  run.end.page_bytes = 100;
  return run;
}

TEST(ConservationTest, ASoundRunHasNoViolation) {
  const Book run = SoundRun();
  EXPECT_TRUE(run.conservation.Check(run.end).empty());
}

TEST(ConservationTest, EachViolationIsFoundAlone) {
  const struct {
    const char* what;
    int64_t count;
    std::function<void(Book&)> damage;
  } cases[] = {
      {"blocks of the reserve held by nobody", 2, [](Book& r) { r.end.blocks_leaked = 2; }},
      {"bytes recalled differ from blocks given to wanted pages x page bytes", 1,
       [](Book& r) { r.conservation.Landed(1); }},
      {"bytes recalled differ from blocks given to wanted pages x page bytes", 100,
       [](Book& r) { r.end.blocks_recalled = 4; }},
      {"more blocks in use than the reserve has", 1, [](Book& r) { r.end.blocks = 7; }},
      {"requests arrived differ from finished + rejected + those in a stage", 1,
       [](Book& r) { r.end.arrived = 4; }},
      {"requests arrived differ from finished + rejected + those in a stage", 1,
       [](Book& r) { r.end.unfinished = 0; }},
      {"requests in the system over time (ns) differ from the sum of their times in it", 1,
       [](Book& r) { r.end.unfinished_ns = 71; }},
      // There for 10 ns, and says 30.
      {"requests in the system over time (ns) differ from the sum of their times in it", 20,
       [](Book& r) {
         r.conservation.Arrive(At(100));
         r.conservation.Leave(At(110), At(80), 0);
         r.end.arrived += 1, r.end.finished += 1;
       }},
      {"requests in the batch over time (ns) differ from the sum of their times in it", 60,
       [](Book& r) { r.end.in_batch_ns = 0; }},
      {"output tokens counted by steps differ from the sum of the requests' tokens", 1,
       [](Book& r) { r.end.tokens_counted = 8; }},
      {"decode and idle time (ns) differ from the run's", 3, [](Book& r) { r.end.idle = {13}; }},
      {"changes that left HBM in use above what is promised, or that above the card", 2,
       [](Book& r) {
         r.conservation.Hbm(21, 20, 30);
         r.conservation.Hbm(20, 31, 30);
       }},
      {"changes that left host DRAM in use above what is promised, or that above the node", 2,
       [](Book& r) {
         r.conservation.Host(21, 20, 30);
         r.conservation.Host(20, 31, 30);
       }},
      {"events before the one they follow", 1, [](Book& r) { r.conservation.Clock(At(49)); }},
  };
  for (const auto& c : cases) {
    Book run = SoundRun();
    c.damage(run);
    const std::vector<InvariantViolation> found = run.conservation.Check(run.end);
    ASSERT_EQ(found.size(), 1u) << c.what;
    EXPECT_EQ(found[0].what, c.what);
    EXPECT_EQ(found[0].count, c.count) << c.what;
  }
}

// One that joined and is in nobody's books: missing from the batch, and from its time.
TEST(ConservationTest, ALostMemberOfTheBatch) {
  Book run = SoundRun();
  run.end.in_batch = 0;
  run.end.in_batch_ns = 0;
  const std::vector<InvariantViolation> found = run.conservation.Check(run.end);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].what, "requests in the batch differ from those that joined and did not leave");
  EXPECT_EQ(found[0].count, 1);
  EXPECT_EQ(found[1].count, 60);
}

// The checks that follow a run can be left out, for measuring what they cost; the others stay.
TEST(ConservationTest, Disabled) {
  Conservation off(false);
  off.Arrive(At(5));
  off.Hbm(2, 1, 1);
  off.Clock(At(4));
  RunEnd end;
  end.arrived = 7;
  end.blocks_leaked = 1;
  ASSERT_EQ(off.Check(end).size(), 1u);
}

}  // namespace
}  // namespace tierscope
