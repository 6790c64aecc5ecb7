// Reads what a reconciliation needs out of two run folders.
#ifndef TIERSCOPE_CLI_RECONCILE_FOLDERS_H_
#define TIERSCOPE_CLI_RECONCILE_FOLDERS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "reports/reconcile.h"
#include "reports/reconcile_text.h"
#include "reports/schema/result.pb.h"
#include "scenarios/scenario.pb.h"

namespace tierscope::cli {

// A run folder without its phase tables.
struct RunFolderInputs {
  std::string path;
  Scenario scenario;
  RunResult result;
};
// Errors: a file that is missing or no run's.
absl::StatusOr<RunFolderInputs> ReadRunFolder(const std::string& path);

// Everything a run's decisions follow from, and the digest of the profile that timed it: all set
// fields of the scenario but those that only say how long things take (hardware, node's rates,
// factors of interference), how a run is called, how long it is simulated and what is reported; the
// digests of its traces; hardware.measured_ops.sha256.
Fingerprint FingerprintOf(const RunFolderInputs& run);

struct FolderReconciliation {
  Reconciliation result;
  Provenance provenance;
};
// By the bounds of the backend that the measured run names. Errors: those of ReadRunFolder; two
// runs of one kind; a profile that was changed or is of another device; fingerprints that differ,
// by the field; a scenario on the profile's grid; those of the phase tables and of Reconcile.
absl::StatusOr<FolderReconciliation> ReconcileFolders(const std::string& simulated,
                                                      const std::string& measured);

// Whether a profile says anything about the scenario under these overrides: it has one, unchanged,
// and stands on no point of its grid.
absl::Status CheckPredictable(const std::string& scenario, const std::vector<std::string>& sets);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_RECONCILE_FOLDERS_H_
