#include "real/pass_record.h"

#include <algorithm>
#include <iterator>

namespace tierscope {
namespace {

constexpr Phase kKernelPhases[] = {Phase::kBallast,      Phase::kNativeScore,
                                   Phase::kNativeTopK,   Phase::kCsaAttention,
                                   Phase::kHcaAttention, Phase::kSwaAttention};

void AppendStep(const StepRecord& step, int64_t number, std::vector<PhaseSpan>* spans) {
  spans->push_back(
      {number, -1, -1, Phase::kStep, step.begin_ns, step.duration_ns, 0, step.active_pages});
  int64_t engine_ns = step.duration_ns;
  int64_t wait_begin_ns = step.wait_begin_ns;
  for (size_t i = 0; i < std::size(kWaitPhases); ++i) {
    engine_ns -= step.wait_ns[i];
    if (step.wait_ns[i] == 0) continue;
    spans->push_back({number, -1, -1, kWaitPhases[i], wait_begin_ns, step.wait_ns[i], 0, 0});
    wait_begin_ns += step.wait_ns[i];
  }
  bool profiled = false;
  for (const Phase phase : kKernelPhases) {
    const KernelTimes::Family& family = step.kernels.Of(phase);
    engine_ns -= family.duration_ns;
    if (family.duration_ns == 0) continue;
    profiled = true;
    spans->push_back({number, -1, -1, phase, family.begin_ns, family.duration_ns, family.bytes, 0});
  }
  if (!profiled) return;
  spans->push_back(
      {number, -1, -1, Phase::kEngine, step.begin_ns, std::max<int64_t>(0, engine_ns), 0, 0});
}

void AppendJob(const JobRecord& record, int64_t page_bytes, int64_t key_bytes_per_entry,
               std::vector<PhaseSpan>* spans) {
  const Job& job = record.job;
  int64_t entries = 0, wanted = 0;
  for (const JobTick& tick : job.ticks) {
    entries += tick.entries;
    wanted += static_cast<int64_t>(tick.list.size());
  }
  const auto add = [&](int64_t step, Phase phase, int64_t begin, int64_t end, int64_t bytes,
                       int64_t pages) {
    spans->push_back({step, job.number, -1, phase, begin, end - begin, bytes, pages});
  };
  add(job.batch_step, Phase::kScore, job.score_begin_ns, job.score_end_ns,
      entries * key_bytes_per_entry, 0);
  add(job.batch_step, Phase::kSelect, job.score_end_ns, job.select_end_ns, 0, wanted);
  for (const JobTick& tick : job.ticks) {
    spans->push_back({job.batch_step, job.number, tick.request, Phase::kSelect, job.score_end_ns, 0,
                      0, static_cast<int64_t>(tick.list.size())});
    spans->push_back({job.batch_step, job.number, tick.request, Phase::kRecall, job.recall_begin_ns,
                      0, tick.missing * page_bytes, tick.missing});
  }
  add(job.batch_step, Phase::kRecall, job.recall_begin_ns, job.recall_end_ns,
      job.pages * page_bytes, job.pages);
  if (record.published_ns < 0) return;
  add(record.publish_step, Phase::kPublish, job.done_ns, record.published_ns, 0, wanted);
}

}  // namespace

std::vector<PhaseSpan> PhaseSpansOf(const PassRecord& pass, int64_t page_bytes,
                                    int64_t key_bytes_per_entry) {
  std::vector<PhaseSpan> spans;
  for (size_t i = 0; i < pass.steps.size(); ++i) {
    AppendStep(pass.steps[i], static_cast<int64_t>(i), &spans);
  }
  for (const JobRecord& job : pass.jobs) AppendJob(job, page_bytes, key_bytes_per_entry, &spans);
  for (const WritebackSpan& span : pass.writebacks) {
    spans.push_back({span.batch_step, -1, -1, Phase::kWriteback, span.begin_ns,
                     span.end_ns - span.begin_ns, page_bytes, 1});
  }
  return spans;
}

}  // namespace tierscope
