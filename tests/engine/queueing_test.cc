// Waits for admission against queueing theory, in two steps that leave no room for luck: the
// engine's waits equal a recursion for FCFS queues request by request, to the nanosecond, and the
// recursion's mean wait agrees with the closed forms at loads where serving simulators are known to
// go wrong.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "tests/testing/toy.h"

namespace tierscope::testing {
namespace {

constexpr int64_t kStepNs = 10'000'000;  // of the toy world, whatever the batch

struct Customer {
  int64_t arrival_ns;
  int64_t service_ns;
};

double Exponential(Rng& rng, double mean) { return -mean * std::log1p(-rng.NextDouble()); }

// Starts of service of an FCFS queue with `servers` servers (Kiefer and Wolfowitz, 1955; Lindley's
// recursion for one). Decode adds a rule: who joins others starts when their step ends, so with
// `grid_ns` a start in company is rounded up to the steps of the busy period.
std::vector<int64_t> Waits(const std::vector<Customer>& customers, size_t servers,
                           int64_t grid_ns) {
  std::vector<int64_t> free_at(servers, 0);  // rising
  std::vector<int64_t> waits;
  waits.reserve(customers.size());
  int64_t busy_since = 0;
  for (const Customer& customer : customers) {
    int64_t start = std::max(customer.arrival_ns, free_at.front());
    if (free_at.back() > start) {
      if (grid_ns > 0) start = busy_since + (start - busy_since + grid_ns - 1) / grid_ns * grid_ns;
    } else {
      busy_since = start;
    }
    waits.push_back(start - customer.arrival_ns);
    const int64_t end = start + customer.service_ns;
    free_at.erase(free_at.begin());
    free_at.insert(std::upper_bound(free_at.begin(), free_at.end(), end), end);
  }
  return waits;
}

// Poisson arrivals at utilisation `rho`; whole steps of service, exponential ones rounded up.
std::vector<Customer> StepCustomers(int count, double mean_steps, bool exponential, double rho,
                                    size_t servers, uint64_t seed) {
  Rng rng(seed);
  const double gap_ns =
      mean_steps * static_cast<double>(kStepNs) / rho / static_cast<double>(servers);
  std::vector<Customer> customers;
  double now = 0;
  for (int i = 0; i < count; ++i) {
    now += Exponential(rng, gap_ns);
    const double steps = exponential ? std::ceil(Exponential(rng, mean_steps)) : mean_steps;
    customers.push_back(
        {static_cast<int64_t>(now), std::max<int64_t>(1, static_cast<int64_t>(steps)) * kStepNs});
  }
  return customers;
}

std::vector<int64_t> EngineWaits(const std::vector<Customer>& customers, size_t servers) {
  RequestTrace trace;
  for (const Customer& customer : customers) {
    TraceRequest& request = trace.requests.emplace_back();
    request.arrival = SimTime{customer.arrival_ns};
    request.input_tokens = 16;
    request.output_tokens = customer.service_ns / kStepNs;
  }
  const Scenario scenario = ToyScenario(absl::StrCat(
      "workload { arrivals: TRACE concurrency: ", servers,
      " trace: 'toy' } policy { kind: FULL tau_steps: 100 } engine { simulated_s: 0 }"));
  return RunToy(scenario, nullptr, &trace).outcome.counters.queue_ns.values();
}

class QueueingTest : public ::testing::TestWithParam<double> {};

TEST_P(QueueingTest, EngineEqualsTheRecursionOfOneServer) {
  for (const bool exponential : {false, true}) {
    const auto customers = StepCustomers(5000, 20, exponential, GetParam(), 1, 11);
    EXPECT_EQ(EngineWaits(customers, 1), Waits(customers, 1, kStepNs));
  }
}

// Several finish in another order than they came; waits are compared as sorted lists.
TEST_P(QueueingTest, EngineEqualsTheRecursionOfFourServers) {
  const auto customers = StepCustomers(5000, 20, true, GetParam(), 4, 12);
  std::vector<int64_t> engine = EngineWaits(customers, 4);
  std::vector<int64_t> expected = Waits(customers, 4, kStepNs);
  std::sort(engine.begin(), engine.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(engine, expected);
}

// Mean wait in units of the mean service, over enough customers that the sampling error at this
// load is under a third of the bound.
double MeanWait(double rho, size_t servers, bool exponential, uint64_t seed) {
  constexpr double kServiceNs = 1e9;
  Rng rng(seed);
  const int count = rho > 0.8 ? 12'000'000 : 2'000'000;
  std::vector<double> free_at(servers, 0.0);
  double now = 0, sum = 0;
  for (int i = 0; i < count; ++i) {
    now += Exponential(rng, kServiceNs / rho / static_cast<double>(servers));
    const double service = exponential ? Exponential(rng, kServiceNs) : kServiceNs;
    const double start = std::max(now, free_at.front());
    sum += start - now;
    size_t place = 0;  // free_at stays sorted
    for (; place + 1 < servers && free_at[place + 1] < start + service; ++place) {
      free_at[place] = free_at[place + 1];
    }
    free_at[place] = start + service;
  }
  return sum / count / kServiceNs;
}

double ErlangC(double rho, int servers) {
  const double load = rho * servers;
  double term = 1, sum = 1;
  for (int i = 1; i < servers; ++i) sum += term *= load / i;
  const double waiting = term * load / servers / (1 - rho);
  return waiting / (sum + waiting);
}

TEST_P(QueueingTest, TheRecursionAgreesWithTheory) {
  const double rho = GetParam();
  const double mm1 = rho / (1 - rho);
  EXPECT_NEAR(MeanWait(rho, 1, true, 1) / mm1, 1.0, 0.02) << "M/M/1";
  EXPECT_NEAR(MeanWait(rho, 1, false, 2) / (mm1 / 2), 1.0, 0.02) << "M/D/1";
  const double mm4 = ErlangC(rho, 4) / (4 * (1 - rho));
  EXPECT_NEAR(MeanWait(rho, 4, true, 3) / mm4, 1.0, 0.02) << "M/M/4";
}

INSTANTIATE_TEST_SUITE_P(Utilisations, QueueingTest, ::testing::Values(0.3, 0.7, 0.9));

}  // namespace
}  // namespace tierscope::testing
