#include "sim/model/step_model.h"

#include <algorithm>

#include "absl/strings/string_view.h"

namespace tierscope {
namespace {

// Rounds half up; all inputs are non-negative.
SimDuration RoundNs(double ns) { return DurationFromNs(ns + 0.5); }

std::vector<LayerKernels::Part> PartsOf(const StepParts& phases) {
  return {{"ballast", phases.ballast_ns},
          {"scoring", phases.native_score_ns},
          {"top-k", phases.native_top_k_ns},
          {"CSA attention", phases.csa_attention_ns},
          {"HCA attention", phases.hca_attention_ns},
          {"SWA attention", phases.swa_attention_ns},
          {"engine, a step", phases.engine_ns}};
}

double& PhaseOf(absl::string_view part, StepParts* phases) {
  if (part == "scoring") return phases->native_score_ns;
  if (part == "top-k") return phases->native_top_k_ns;
  if (part == "CSA attention") return phases->csa_attention_ns;
  if (part == "HCA attention") return phases->hca_attention_ns;
  if (part == "SWA attention") return phases->swa_attention_ns;
  const bool engine = part == "engine, a request" || part == "engine, a step";
  return engine ? phases->engine_ns : phases->ballast_ns;
}

}  // namespace

StepTimeModel::Roof StepTimeModel::MakeRoof(double flop, double flop_per_s, double bytes,
                                            double bytes_per_s) {
  return {flop, flop / flop_per_s * 1e9, bytes / bytes_per_s * 1e9};
}

double StepTimeModel::Roof::Time(double units) const {
  return units * std::max(compute_ns, memory_ns);
}

StepTimeModel::StepTimeModel(const Scenario& scenario) {
  const Model& model = scenario.model();
  const Hardware& hardware = scenario.hardware();
  const StepModel& fit = hardware.step_model();
  base_ns_ = fit.base_ms() * 1e6;
  per_request_ns_ = fit.per_request_ms() * 1e6;
  const Policy& policy = scenario.policy();
  level1_launch_ns_ = policy.has_level1_fixed_ms() ? 0.0 : fit.level1_launch_ms() * 1e6;
  level1_fixed_ = RoundNs(policy.level1_fixed_ms() * 1e6);
  hbm_bytes_per_ns_ = static_cast<double>(hardware.hbm_bytes_per_s()) * 1e-9;
  groups_ = scenario.engine().dp_attention();
  const int32_t drafts = scenario.engine().mtp().draft_tokens();
  queries_ = 1.0 + drafts;
  constant_flop_per_request_ = model.gflop_per_token_constant() * 1e9;
  if (drafts > 0) {
    const int32_t layers = model.csa_layers() + model.hca_layers() + model.swa_layers();
    constant_flop_per_request_ *= queries_ + static_cast<double>(drafts) / layers;
  }
  hca_entries_per_token_ = 1.0 / model.hca_tokens_per_entry();
  csa_entries_per_request_ = model.top_k() + model.window_tokens();
  graph_batch_sizes_.assign(scenario.engine().graph_batch_sizes().begin(),
                            scenario.engine().graph_batch_sizes().end());
  if (hardware.has_measured_ops()) {
    measured_.emplace(scenario);
  } else if (fit.has_kernels()) {
    kernels_.emplace(scenario);
  }

  // Without rooflines, only the flop of these are asked for; an efficiency of 1 keeps them finite.
  const bool rooflines = !measured_ && !kernels_;
  const double fp8 = (rooflines ? fit.scoring_efficiency() : 1.0) * hardware.fp8_flop_per_s();
  const double bf16 = (rooflines ? fit.attention_efficiency() : 1.0) * hardware.bf16_flop_per_s();
  const double bandwidth =
      fit.memory_efficiency() * static_cast<double>(hardware.hbm_bytes_per_s());
  const double key_bytes = static_cast<double>(model.index_key_bytes());
  const double entry_bytes = static_cast<double>(model.kv_entry_bytes());
  const double attention_flop = model.query_heads() * 4.0 * model.head_dim();
  scoring_ =
      MakeRoof(model.csa_layers() * model.index_heads() * (2.0 * model.index_head_dim() + 2.0), fp8,
               model.csa_layers() * key_bytes, bandwidth);
  hca_ = MakeRoof(model.hca_layers() * attention_flop, bf16, model.hca_layers() * entry_bytes,
                  bandwidth);
  csa_ = MakeRoof(model.csa_layers() * attention_flop, bf16, model.csa_layers() * entry_bytes,
                  bandwidth);
  level1_ = MakeRoof(
      model.target_layers() * model.memory_index_heads() * 2.0 * model.memory_index_head_dim(), fp8,
      model.target_layers() * key_bytes, bandwidth);
}

int32_t StepTimeModel::PaddedBatch(int32_t requests) const {
  const auto next =
      std::lower_bound(graph_batch_sizes_.begin(), graph_batch_sizes_.end(), requests);
  return next == graph_batch_sizes_.end() ? requests : *next;
}

double StepTimeModel::RooflinesNs(const BatchWork& work) const {
  return scoring_.Time(static_cast<double>(work.scored_entries)) +
         hca_.Time(static_cast<double>(work.context_tokens) * hca_entries_per_token_) +
         csa_.Time(csa_entries_per_request_ * work.requests);
}

SimDuration StepTimeModel::Step(const BatchWork& work) const {
  if (measured_) return RoundNs(measured_->Step(work).total_ns());
  const int32_t padded = PaddedBatch(work.requests);
  const double kernels_ns =
      kernels_ ? kernels_->StepNs(padded, work.requests, static_cast<double>(work.scored_entries),
                                  static_cast<double>(work.context_tokens))
               : RooflinesNs(work);
  return RoundNs(base_ns_ + per_request_ns_ * padded + kernels_ns);
}

std::vector<LayerKernels::Part> StepTimeModel::Parts(const BatchWork& work) const {
  if (work.requests <= 0) return {};
  const int32_t padded = PaddedBatch(work.requests);
  const auto entries = static_cast<double>(work.scored_entries);
  const auto tokens = static_cast<double>(work.context_tokens);
  std::vector<LayerKernels::Part> parts;
  if (measured_) return PartsOf(measured_->Step(work));
  if (kernels_) {
    parts = kernels_->Parts(padded, work.requests, entries, tokens);
  } else {
    parts = {{"scoring", scoring_.Time(entries)},
             {"HCA attention", hca_.Time(tokens * hca_entries_per_token_)},
             {"CSA attention", csa_.Time(csa_entries_per_request_ * work.requests)}};
  }
  parts.push_back({"engine, a request", per_request_ns_ * padded});
  parts.push_back({"engine, a step", base_ns_});
  return parts;
}

StepParts StepTimeModel::Phases(const BatchWork& work) const {
  if (measured_) return measured_->Step(work);
  StepParts phases;
  for (const LayerKernels::Part& part : Parts(work)) PhaseOf(part.name, &phases) += part.ns;
  return phases;
}

SimDuration StepTimeModel::GroupPart(const BatchWork& work) const {
  if (!kernels_) return RoundNs(RooflinesNs(work));
  const int32_t padded = PaddedBatch(work.requests);
  return RoundNs(per_request_ns_ * padded +
                 kernels_->RankNs(padded, work.requests, static_cast<double>(work.scored_entries),
                                  static_cast<double>(work.context_tokens)));
}

SimDuration StepTimeModel::JointPart(int32_t requests, int32_t requests_max) const {
  const int32_t padded =
      graph_batch_sizes_.empty() ? requests : groups_ * PaddedBatch(requests_max);
  return RoundNs(base_ns_ + (kernels_ ? kernels_->JointNs(padded) : per_request_ns_ * padded));
}

Level1Parts StepTimeModel::PartsOfLevel1(const Level1Work& work, bool scores) const {
  Level1Parts parts;
  if (measured_) {
    parts = measured_->Level1(work);
  } else {
    const double entries = static_cast<double>(work.entries);
    parts = {kernels_ ? kernels_->Level1Ns(entries) : level1_.Time(entries), level1_launch_ns_};
  }
  if (!scores) parts.score_ns = 0.0;
  return parts;
}

SimDuration StepTimeModel::Level1(const Level1Work& work, bool scores) const {
  const Level1Parts parts = PartsOfLevel1(work, scores);
  return RoundNs(parts.select_ns + parts.score_ns);
}

SimDuration StepTimeModel::Publish(int64_t pages, int32_t requests) const {
  if (!measured_ || requests == 0) return {};
  return RoundNs(measured_->PublishNs(static_cast<double>(pages) / requests, requests));
}

SimDuration StepTimeModel::HbmWrite(int64_t bytes) const {
  return RoundNs(static_cast<double>(bytes) / hbm_bytes_per_ns_);
}

double StepTimeModel::ReplicatedStepFlop(const BatchWork& work) const {
  return scoring_.flop * queries_ * static_cast<double>(work.scored_entries);
}

double StepTimeModel::StepFlop(const BatchWork& work) const {
  return constant_flop_per_request_ * work.requests + ReplicatedStepFlop(work);
}

double StepTimeModel::Level1Flop(int64_t entries) const {
  return level1_.flop * static_cast<double>(entries);
}

}  // namespace tierscope
