// The folder a run leaves behind. Files are written whole or not at all (atomic_file.h).
// One thread per folder; two processes that ask for a default name at once get different ones.
#ifndef TIERSCOPE_REPORTS_RUN_FOLDER_H_
#define TIERSCOPE_REPORTS_RUN_FOLDER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "reports/host_result.h"

namespace tierscope {

struct RunFolder {
  std::string path;
  // Path of a file in the folder, e.g. File("timeline.json").
  std::string File(absl::string_view name) const;
};

// Creates the folder of a run, parents included.
// `out` empty: tierscope-runs/<scenario_name>, or the first free of <scenario_name>-2, -3, ...;
// characters that are awkward in a file name become '_'. With `overwrite` the first of these is
// taken, free or not. `out` given: that folder, refused when it exists, unless `overwrite`.
// Overwriting removes the files that a run writes and nothing else, so that an interrupted run
// never leaves results of the one before.
absl::StatusOr<RunFolder> CreateRunFolder(absl::string_view out, absl::string_view scenario_name,
                                          bool overwrite);

// Writes scenario.txtpb, result.json, host.json, metrics.csv and report.html. timeline.json is
// written during the run, through timeline.h, and series.json by the simulator's caller.
absl::Status WriteRunFolder(const RunFolder& folder, absl::string_view scenario_text,
                            const RunResult& result, const HostResult& host);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_RUN_FOLDER_H_
