// The products of a decode step at a rank's true shapes: sim/model/layer_work.h in whole numbers.
// Both the executor's ballast and the calibration of products take their shapes from here.
#ifndef TIERSCOPE_REAL_BACKBONE_H_
#define TIERSCOPE_REAL_BACKBONE_H_

#include <cstdint>
#include <vector>

#include "real/backend.h"
#include "scenarios/scenario.pb.h"
#include "sim/model/layer_work.h"

namespace tierscope {

// Products of one layer of that kind for `batch` >= 1 requests on one rank of
// engine.tensor_parallel: projections, router, shared and routed experts. Routed experts are
// grouped: as many groups as the batch is expected to touch (sim/model, ExpertsTouched, rounded
// up), with batch * experts_per_token rows spread evenly over them, rounded up; so the weights read
// are those of the touched experts.
std::vector<GemmShape> LayerProducts(const Scenario& scenario, LayerKind kind, int64_t batch);

// The output head.
std::vector<GemmShape> HeadProducts(const Scenario& scenario, int64_t batch);

// Layers of the model in the order in which a step runs them: SWA first, then CSA and HCA in turn,
// what is left of either kind last.
std::vector<LayerKind> LayerOrder(const Model& model);

}  // namespace tierscope

#endif  // TIERSCOPE_REAL_BACKBONE_H_
