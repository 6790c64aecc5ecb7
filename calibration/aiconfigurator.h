// Families from tables in the column layout of ai-dynamo/aiconfigurator (systems/data), decode rows
// of DeepSeek-V4. A reader takes the table's path, checks that it is of the card and of V4, and
// returns the family ready to fit; its parameters are the fields of the message named.
//
// What a row means, and which rows are left out:
//   gemm         all; m, n, k, one dtype
//   moe          moe_ep_size 1: the parallelism the simulator has. Experts touched as the benchmark
//                drew them: `balanced` spreads, `power_law_a` draws loads x^-a in [1, 0.8 tokens]
//   scoring      all; batch * isl queries over (step + isl / 2) / 4 entries, whose keys stay in L2
//   top-k        isl 1, 2 k entries and more; step / 4 entries
//   attention    isl 1: longer ones run another kernel, for prefill
//   all-reduce   one of the CUDA-graph backends, BF16
//   layers       all; composed of the kernels fitted before, and the glue fitted to what remains
#ifndef TIERSCOPE_CALIBRATION_AICONFIGURATOR_H_
#define TIERSCOPE_CALIBRATION_AICONFIGURATOR_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "calibration/card.h"
#include "calibration/family.h"

namespace tierscope {

GemmKernel GemmFrom(const std::vector<double>& values);
MoeKernel MoeFrom(const std::vector<double>& values);
ScoringKernel ScoringFrom(const std::vector<double>& values);
TopKKernel TopKFrom(const TopKKernel& which, const std::vector<double>& values);
AttentionKernel AttentionFrom(const std::vector<double>& values);
AllReduceKernel AllReduceFrom(const std::vector<double>& values);
LayerGlue GlueFrom(const std::vector<double>& values);

// A table of DeepSeek-V4's modules with the columns named and those that all of them have.
// InvalidArgument: another model, at its line.
absl::StatusOr<KernelTable> ReadV4Table(const std::string& path, const Card& card,
                                        std::vector<std::string> columns);

absl::StatusOr<Family> ReadGemm(const std::string& path, const Card& card,
                                const std::string& dtype);
absl::StatusOr<Family> ReadMoe(const std::string& path, const Card& card);
absl::StatusOr<Family> ReadScoring(const std::string& path, const Card& card);
// `which` names k, version and scores.
absl::StatusOr<Family> ReadTopK(const std::string& path, const Card& card, const TopKKernel& which);
absl::StatusOr<Family> ReadAttention(const std::string& path, const Card& card);
absl::StatusOr<Family> ReadAllReduce(const std::string& path, const Card& card);
// `kernels` holds what was fitted before; csa: a CSA layer, else an HCA layer.
absl::StatusOr<Family> ReadLayer(const std::string& path, const Card& card,
                                 const KernelCalibration& kernels, bool csa);

// Distinct experts of the benchmark's batch of `tokens` tokens, by the name of its distribution.
// InvalidArgument: an unknown name.
absl::StatusOr<double> BenchmarkExpertsTouched(const std::string& distribution, double tokens,
                                               double top, double experts);

}  // namespace tierscope

#endif  // TIERSCOPE_CALIBRATION_AICONFIGURATOR_H_
