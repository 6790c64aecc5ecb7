#include "real/measured_result.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "reports/schema/metrics.h"
#include "scenarios/loader.h"
#include "sim/base/check.h"
#include "sim/base/stats.h"
#include "sim/base/units.h"

namespace tierscope {
namespace {

constexpr absl::string_view kNoStep = "no batch step was counted: the run ended within its warm-up";

struct Frame {
  const ExecutionPlan& plan;
  const Measurement& measurement;
  const PassRecord& pass;
  MetricSet& metrics;
  // Over the counted steps.
  int64_t steps = 0;
  int64_t tokens = 0;
  int64_t decode_ns = 0;
  int64_t begin_ns = 0;  // of the first
  int64_t end_ns = 0;

  double counted_s() const { return static_cast<double>(end_ns - begin_ns) / 1e9; }
  const StepRecord* Counted(size_t i) const {
    return static_cast<int64_t>(i) < plan.warmup_steps ? nullptr : &pass.steps[i];
  }
};

void SetOrAbsent(MetricSet& metrics, absl::string_view name, bool present, double value,
                 absl::string_view reason) {
  if (present) {
    metrics.Set(name, value);
  } else {
    metrics.SetAbsent(name, reason);
  }
}

double Ms(int64_t ns) { return static_cast<double>(ns) / 1e6; }

// What the counted steps of a pass took, waits included; `less` is taken off each.
double StepMsP50(const ExecutionPlan& plan, const PassRecord& pass, Phase less = Phase::kStep) {
  std::vector<int64_t> ns;
  for (size_t i = static_cast<size_t>(plan.warmup_steps); i < pass.steps.size(); ++i) {
    const StepRecord& step = pass.steps[i];
    const int64_t off = less == Phase::kStep ? 0 : step.kernels.Of(less).duration_ns;
    ns.push_back(step.duration_ns - off);
  }
  return ns.empty() ? 0.0 : Ms(Percentile(ns, 0.5));
}

void CountSteps(Frame& f) {
  for (size_t i = 0; i < f.pass.steps.size(); ++i) {
    const StepRecord* step = f.Counted(i);
    if (step == nullptr) continue;
    if (f.steps++ == 0) f.begin_ns = step->begin_ns;
    f.tokens += step->batch;
    f.decode_ns += step->duration_ns;
    f.end_ns = step->begin_ns + step->duration_ns;
  }
}

void SetLoad(Frame& f) {
  MetricSet& m = f.metrics;
  m.Set("simulated_s", static_cast<double>(f.pass.decode_ns()) / 1e9);
  m.Set("warmup_s", static_cast<double>(f.begin_ns) / 1e9);
  m.Set("decode_s", static_cast<double>(f.decode_ns) / 1e9);
  m.Set("steps", static_cast<double>(f.steps));
  m.Set("output_tokens", static_cast<double>(f.tokens));
  int64_t completed = 0;
  for (const RequestRecord& request : f.pass.requests) {
    completed += request.end_step > f.plan.warmup_steps ? 1 : 0;
  }
  m.Set("requests_completed", static_cast<double>(completed));
  m.Set("requests_unfinished", 0.0);
  m.Set("requests_rejected", 0.0);
  double request_ns = 0;
  for (size_t i = 0; i < f.pass.steps.size(); ++i) {
    const StepRecord* step = f.Counted(i);
    if (step == nullptr) continue;
    request_ns += static_cast<double>(step->duration_ns) * step->batch;
  }
  SetOrAbsent(m, "concurrency_mean", f.steps > 0, request_ns / static_cast<double>(f.decode_ns),
              kNoStep);
}

void SetSpeed(Frame& f) {
  MetricSet& m = f.metrics;
  const bool any = f.steps > 0;
  const double decode_s = static_cast<double>(f.decode_ns) / 1e9;
  const double throughput = static_cast<double>(f.tokens) / decode_s;
  SetOrAbsent(m, "throughput_tok_per_s", any, throughput, kNoStep);
  m.SetAbsent("throughput_tok_per_s_per_gpu", "one rank was executed, and a replica has more");
  LogHistogram step_ns;
  int64_t longest = 0;
  for (size_t i = 0; i < f.pass.steps.size(); ++i) {
    const StepRecord* step = f.Counted(i);
    if (step == nullptr) continue;
    step_ns.Add(step->duration_ns);
    longest = std::max(longest, step->duration_ns);
  }
  SetOrAbsent(m, "step_ms_mean", any, Ms(f.decode_ns) / static_cast<double>(f.steps), kNoStep);
  SetOrAbsent(m, "step_ms_p50", any, Ms(step_ns.Percentile(0.5)), kNoStep);
  SetOrAbsent(m, "step_ms_p99", any, Ms(step_ns.Percentile(0.99)), kNoStep);
  SetOrAbsent(m, "step_ms_max", any, Ms(longest), kNoStep);
}

void SetRequests(Frame& f) {
  MetricSet& m = f.metrics;
  SampleSet tpot_ns, latency_ns;
  for (size_t r = 0; r < f.pass.requests.size(); ++r) {
    const RequestRecord& request = f.pass.requests[r];
    if (request.end_step <= f.plan.warmup_steps) continue;
    latency_ns.Add(request.end_ns);
    const int64_t tokens = f.plan.requests[r].output_tokens;
    if (tokens > 1) tpot_ns.Add((request.end_ns - request.first_token_ns) / (tokens - 1));
  }
  constexpr absl::string_view kNone = "no request ended after the warm-up";
  const auto percentile = [&](absl::string_view name, SampleSet& samples, double q) {
    SetOrAbsent(m, name, !samples.empty(), samples.empty() ? 0.0 : Ms(samples.Percentile(q)),
                kNone);
  };
  SetOrAbsent(m, "tpot_ms_mean", !tpot_ns.empty(), tpot_ns.mean() / 1e6, kNone);
  percentile("tpot_ms_p50", tpot_ns, 0.5);
  percentile("tpot_ms_p90", tpot_ns, 0.9);
  percentile("tpot_ms_p99", tpot_ns, 0.99);
  percentile("request_latency_ms_p50", latency_ns, 0.5);
  percentile("request_latency_ms_p99", latency_ns, 0.99);
  for (const char* name : {"ttft_ms_p50", "ttft_ms_p99"}) {
    m.SetAbsent(name, "engine.prefill is NONE: a request's KV is there when it arrives");
  }
}

// Bytes of a pool that hold live data at the run's end, when all requests are longest.
int64_t InUseBytes(const Frame& f, const NamedMemory& memory) {
  const ExecutionPlan& plan = f.plan;
  int64_t entries = 0, hca_entries = 0, pages = 0;
  for (const RequestPlan& request : plan.requests) {
    const int64_t last = request.output_tokens - 1;
    entries += plan.EntriesAt(request, last);
    hca_entries += plan.HcaEntriesAt(request, last);
    pages += CeilDiv(plan.EntriesAt(request, last), int64_t{kPageEntries});
  }
  const Model& model = plan.scenario.model();
  if (memory.name == "index keys") return entries * model.index_key_bytes() * plan.csa_layers;
  if (memory.name == "HCA entries") return hca_entries * model.kv_entry_bytes() * plan.hca_layers;
  if (memory.name == "page reserve") return f.pass.blocks_peak * plan.page_bytes;
  if (memory.name == "cold pool") return pages * plan.page_bytes;
  return memory.bytes;
}

void SetFootprint(Frame& f, RunResult* result) {
  int64_t total = 0, total_used = 0, kv = 0, kv_used = 0, host = 0, host_used = 0;
  for (const NamedMemory& memory : f.measurement.footprint) {
    const int64_t used = InUseBytes(f, memory);
    const bool on_host = memory.arena == Arena::kHost;
    Pool* pool = result->add_footprint();
    pool->set_tier(on_host ? "host" : "hbm");
    pool->set_pool(memory.name);
    pool->set_allocated_bytes(memory.bytes);
    pool->set_in_use_bytes(used);
    const DeviceDescription& device = f.measurement.device;
    const bool apart = on_host && device.host_bytes_free > 0;
    pool->set_capacity_bytes(apart ? device.host_bytes_free : device.memory_bytes);
    (on_host ? host : total) += memory.bytes;
    (on_host ? host_used : total_used) += used;
    const bool is_kv = memory.name == "index keys" || memory.name == "HCA entries" ||
                       memory.name == "page reserve";
    if (is_kv) kv += memory.bytes, kv_used += used;
  }
  MetricSet& m = f.metrics;
  m.Set("hbm_total_gib_peak", ToGiB(total));
  m.Set("hbm_total_gib_peak_in_use", ToGiB(total_used));
  m.Set("hbm_kv_gib_peak", ToGiB(kv));
  m.Set("hbm_kv_gib_peak_in_use", ToGiB(kv_used));
  m.Set("host_gib_peak", ToGiB(host));
  m.Set("host_gib_peak_in_use", ToGiB(host_used));
}

void SetKvPerRequest(Frame& f) {
  double active_pages = 0, tokens = 0;
  for (size_t i = 0; i < f.pass.steps.size(); ++i) {
    const StepRecord* step = f.Counted(i);
    if (step == nullptr) continue;
    active_pages += static_cast<double>(step->active_pages);
    tokens += static_cast<double>(step->context_tokens);
  }
  const auto rows = static_cast<double>(f.tokens);
  const auto gib = static_cast<double>(kGiB);
  const double token_share = tokens / rows / static_cast<double>(kScaleTokens) / gib;
  const double csa = active_pages / rows * static_cast<double>(f.plan.page_bytes) / gib;
  const double hca = token_share * static_cast<double>(f.plan.memory.hca_bytes_per_scale);
  const double keys = token_share * static_cast<double>(f.plan.memory.index_bytes_per_scale);
  const bool any = f.tokens > 0;
  SetOrAbsent(f.metrics, "hbm_kv_gib_per_request", any, csa + hca + keys, kNoStep);
  SetOrAbsent(f.metrics, "hbm_kv_paper_gib_per_request", any, csa + hca, kNoStep);
}

void SetAttention(Frame& f) {
  MetricSet& m = f.metrics;
  const WindowDemand* demand = f.measurement.selections;
  if (demand == nullptr || !demand->coverage_known) {
    for (const char* name :
         {"selections", "miss_inactive", "miss_evicted", "coverage", "coverage_prompt"}) {
      m.SetAbsent(name, demand == nullptr
                            ? "needs what the full history would have selected: run with --record"
                            : "the attention trace holds no selections of the full history");
    }
    return;
  }
  const MissCounts counts = CountMisses(f.plan, f.pass, *demand, f.plan.warmup_steps);
  const int64_t stride = f.plan.stride_steps;
  const auto whole = [stride](int64_t spread) {
    return static_cast<double>((spread + stride / 2) / stride);
  };
  const auto share = [](int64_t misses, int64_t of) {
    return 1.0 - static_cast<double>(misses) / static_cast<double>(of);
  };
  constexpr absl::string_view kNone = "no step after a request's step 0 was counted";
  const bool known = counts.selections.all > 0;
  SetOrAbsent(m, "selections", known, whole(counts.selections.all), kNone);
  SetOrAbsent(m, "miss_inactive", known, whole(counts.inactive.all), kNone);
  SetOrAbsent(m, "miss_evicted", known, whole(counts.evicted.all), kNone);
  SetOrAbsent(m, "coverage", known,
              share(counts.inactive.all + counts.evicted.all, counts.selections.all), kNone);
  SetOrAbsent(m, "coverage_prompt", known && counts.selections.prompt > 0,
              share(counts.inactive.prompt + counts.evicted.prompt, counts.selections.prompt),
              kNone);
}

void SetRecall(Frame& f) {
  MetricSet& m = f.metrics;
  const PassCounts counts = CountPass(f.plan, f.pass);
  SetOrAbsent(m, "recall_miss_rate", counts.pages_wanted > 0,
              static_cast<double>(counts.pages_recalled) / static_cast<double>(counts.pages_wanted),
              "no tick was counted");
  const double gib = ToGiB(counts.pages_recalled * f.plan.page_bytes);
  const bool timed = f.counted_s() > 0;
  m.Set("recall_gib", gib);
  SetOrAbsent(m, "recall_gib_per_s", timed, gib / f.counted_s(), kNoStep);
  m.Set("pages_recalled", static_cast<double>(counts.pages_recalled));
  m.Set("pages_evicted", static_cast<double>(counts.pages_evicted));
  m.Set("pages_written_back", static_cast<double>(counts.pages_written_back));
  m.Set("entries_lost", 0.0);
  int64_t busy_ns = 0, link_ns = 0;
  for (const JobRecord& record : f.pass.jobs) {
    if (record.published_ns <= f.begin_ns || !timed) continue;
    const auto clipped = [&](int64_t begin, int64_t end) {
      return std::max<int64_t>(0, std::min(end, f.end_ns) - std::max(begin, f.begin_ns));
    };
    busy_ns += clipped(record.job.launched_ns, record.job.done_ns);
    link_ns += clipped(record.job.recall_begin_ns, record.job.recall_end_ns);
  }
  SetOrAbsent(m, "link_utilisation", timed, static_cast<double>(link_ns) / 1e9 / f.counted_s(),
              kNoStep);
  SetOrAbsent(m, "sideband_utilisation", timed, static_cast<double>(busy_ns) / 1e9 / f.counted_s(),
              kNoStep);
}

void SetStall(Frame& f) {
  MetricSet& m = f.metrics;
  constexpr absl::string_view kPrefix = "wait.";
  int64_t total = 0;
  for (size_t cause = 0; cause < std::size(kWaitPhases); ++cause) {
    int64_t ns = 0;
    for (size_t i = 0; i < f.pass.steps.size(); ++i) {
      if (const StepRecord* step = f.Counted(i)) ns += step->wait_ns[cause];
    }
    total += ns;
    m.Set(absl::StrCat("stall_ms_by_cause.", PhaseName(kWaitPhases[cause]).substr(kPrefix.size())),
          Ms(ns));
  }
  m.Set("stall_ms_by_cause.eviction", 0.0);
  m.SetAbsent("stall_ms_by_cause.interference",
              "how much longer a step is for the work beside it is not told apart from the step");
  m.Set("stall_ms_total", Ms(total));
  SetOrAbsent(m, "stall_ms_per_token", f.steps > 0, Ms(total) / static_cast<double>(f.steps),
              kNoStep);
  SetOrAbsent(m, "stall_fraction", f.steps > 0,
              static_cast<double>(total) / static_cast<double>(f.decode_ns), kNoStep);
}

// What no batch that starts together on one rank can show.
void SetRestAbsent(MetricSet& metrics) {
  for (const MetricDef& definition : MetricDefinitions()) {
    if (metrics.IsSet(definition.name)) continue;
    const bool node = absl::string_view(definition.scope) == "node";
    metrics.SetAbsent(definition.name, node ? "one rank was executed, and a node has more"
                                            : "not measured by the real mode");
  }
}

void FillExecution(const Frame& f, int chosen, RunResult* result) {
  const Measurement& measured = f.measurement;
  Execution* execution = result->mutable_execution();
  execution->set_backend(measured.device.backend);
  execution->set_device(measured.device.name);
  execution->set_decode_threads(measured.device.core_count);
  execution->set_sideband_threads(measured.device.sideband_core_count);
  execution->set_mode(f.plan.mode == RealMode::kLive ? "live" : "replay");
  execution->set_executed_ranks(1);
  execution->set_weight_format(measured.device.weight_format);
  for (const PassRecord& pass : measured.timed) {
    execution->add_step_ms_p50_of_repeats(StepMsP50(f.plan, pass));
  }
  execution->set_chosen_repeat(chosen);
  execution->set_step_ms_p50_unprofiled(StepMsP50(f.plan, measured.unprofiled));
  execution->set_software(measured.device.software);
  execution->set_activity(measured.activity);
  if (measured.traced) execution->set_step_ms_p50_traced(StepMsP50(f.plan, *measured.traced));
  for (const std::string& state : measured.device_states) {
    if (!state.empty()) execution->add_device_states(state);
  }
  for (const NamedMemory& memory : measured.footprint_beside) {
    Pool* pool = execution->add_footprint_beside();
    pool->set_tier("hbm");
    pool->set_pool(memory.name);
    pool->set_allocated_bytes(memory.bytes);
    pool->set_capacity_bytes(measured.device.memory_bytes);
  }
  execution->set_step_ms_p50_without_ballast(StepMsP50(f.plan, f.pass, Phase::kBallast));
  execution->set_ballast_gflop_per_step(measured.ballast_gflop_per_step);
  const PassCounts counts = CountPass(f.plan, f.pass);
  execution->set_level1_jobs(counts.jobs);
  execution->set_level1_joins(counts.joins);
  std::vector<int64_t> delays;
  for (const JobRecord& record : f.pass.jobs) {
    if (record.job.batch_step + 1 < f.plan.warmup_steps || record.published_ns < 0) continue;
    const auto delay = static_cast<size_t>(record.publish_step - record.job.batch_step);
    if (delays.size() < delay) delays.resize(delay);
    ++delays[delay - 1];
  }
  for (const int64_t jobs : delays) execution->add_publish_delay_steps(jobs);
  execution->add_not_validated("all-reduce: one rank was executed");
  execution->add_not_validated("host bandwidth shared among ranks: one rank was executed");
  execution->add_not_validated(
      "expert imbalance: routed experts get even shares of the expected touched ones");
  execution->add_not_validated("launches, graphs and the scheduler of a serving engine");
  if (measured.device.backend == "cpu") {
    execution->add_not_validated("any GPU: both arenas and their link are this host's memory");
  }
}

void FillNotes(const Frame& f, RunResult* result) {
  const Execution& execution = result->execution();
  result->add_notes(absl::StrCat(
      "executed on ", execution.device(), " (", execution.backend(), ", ",
      execution.decode_threads(), execution.backend() == "cpu" ? " threads for decode, " : " SMs, ",
      execution.backend() == "cpu"
          ? absl::StrCat(execution.sideband_threads(), " for the side-band")
          : execution.software(),
      "), one rank of ", f.plan.scenario.engine().tensor_parallel()));
  result->add_notes(
      f.plan.mode == RealMode::kLive
          ? "live: hidden states and keys are synthetic, exogenous and of no model; the kernels "
            "decide on them, so coverage is that of the made-up content"
          : "replay: want lists are the trace's and the kernels run at true sizes beside them, so "
            "that decisions agree is a check of plumbing");
  result->add_notes(
      absl::StrCat("ballast stands for the backbone: ", execution.ballast_gflop_per_step(),
                   " GFLOP a step of the whole batch, weights as ", execution.weight_format(),
                   "; it is evidence of nothing"));
  if (!execution.activity().empty()) {
    result->add_notes(absl::StrCat("the device's own record of activity: ", execution.activity()));
  }
  for (const std::string& what : execution.not_validated()) {
    result->add_notes(absl::StrCat("not validated: ", what));
  }
}

void FillTrace(const Frame& f, RunResult* result) {
  const WindowDemand* demand = f.measurement.selections;
  if (demand == nullptr) return;
  Input* input = result->add_inputs();
  input->set_role(f.plan.mode == RealMode::kLive ? "recording" : "attention trace");
  input->set_name(demand->trace_name);
  input->set_digest(demand->trace_digest);
  input->set_provenance(demand->provenance);
}

}  // namespace

int ChooseRepeat(const std::vector<PassRecord>& timed) {
  TIERSCOPE_CHECK(!timed.empty());
  std::vector<std::pair<int64_t, int>> order;
  for (size_t i = 0; i < timed.size(); ++i) {
    order.push_back({timed[i].decode_ns(), static_cast<int>(i)});
  }
  std::sort(order.begin(), order.end());
  return order[(order.size() - 1) / 2].second;
}

PassCounts CountPass(const ExecutionPlan& plan, const PassRecord& pass) {
  PassCounts counts;
  counts.pages_evicted = pass.pages_evicted_for_growth;
  for (const JobRecord& record : pass.jobs) {
    if (record.job.batch_step + 1 < plan.warmup_steps) continue;
    ++counts.jobs;
    counts.joins += record.joined ? 1 : 0;
    counts.pages_recalled += record.job.pages;
    counts.pages_evicted += record.job.pages_evicted;
    for (const JobTick& tick : record.job.ticks) {
      counts.pages_wanted += static_cast<int64_t>(tick.list.size());
    }
  }
  for (const WritebackSpan& span : pass.writebacks) {
    counts.pages_written_back += span.batch_step >= plan.warmup_steps ? 1 : 0;
  }
  return counts;
}

RunResult MeasuredResult(const ExecutionPlan& plan, const Measurement& measurement) {
  const int chosen = ChooseRepeat(measurement.timed);
  MetricSet metrics;
  Frame frame{plan, measurement, measurement.timed[static_cast<size_t>(chosen)], metrics};
  RunResult result;
  result.set_schema_version(kResultSchemaVersion);
  result.set_kind("measured");
  result.set_scenario(plan.scenario.name());
  result.set_scenario_digest(ScenarioDigest(plan.scenario));
  result.set_seed(plan.scenario.seed());
  CountSteps(frame);
  SetLoad(frame);
  SetSpeed(frame);
  SetRequests(frame);
  SetFootprint(frame, &result);
  SetKvPerRequest(frame);
  SetAttention(frame);
  SetRecall(frame);
  SetStall(frame);
  SetRestAbsent(metrics);
  metrics.Finish(&result);
  FillTrace(frame, &result);
  FillExecution(frame, chosen, &result);
  FillNotes(frame, &result);
  return result;
}

}  // namespace tierscope
