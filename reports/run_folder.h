// The folder a run leaves behind. Its files are written into a folder of their own inside it and
// moved to their places at the end, so that until then, and for ever if the run is killed, the
// results of the run before stand; the next run of that folder removes what the killed one left.
// One thread per folder; two processes that ask for a default name at once get different ones.
#ifndef TIERSCOPE_REPORTS_RUN_FOLDER_H_
#define TIERSCOPE_REPORTS_RUN_FOLDER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "reports/host_result.h"

namespace tierscope {

struct RunFolder {
  class Claim;
  std::string path;
  std::shared_ptr<const Claim> claim;  // this run's, as long as anybody holds it
  // Path of a file in the folder, e.g. File("timeline.json").
  std::string File(absl::string_view name) const;
  // Where to write that file: WriteRunFolder moves it there.
  std::string Staged(absl::string_view name) const;
};

// Creates the folder of a run, parents included.
// `out` empty: tierscope-runs/<scenario_name>, or the first free of <scenario_name>-2, -3, ...;
// characters that are awkward in a file name become '_'. With `overwrite` the first of these is
// taken, free or not. `out` given: that folder, refused when it exists, unless `overwrite`.
// A default name whose folder holds nothing but what a killed run left counts as free. Another
// process that writes the folder is an error.
absl::StatusOr<RunFolder> CreateRunFolder(absl::string_view out, absl::string_view scenario_name,
                                          bool overwrite);

// Writes scenario.txtpb, result.json, host.json, metrics.csv and report.html, and moves them and
// what else is staged (timeline.json, written during the run through timeline.h; series.json) to
// their places; files that an earlier run wrote and this one did not are removed, others stay. A
// folder that has result.json is complete: it goes first and comes last. `finish_host` is called
// when all is written that does not show the host's figures, to fill them in: what is left is
// report.html, host.json and the moving.
absl::Status WriteRunFolder(const RunFolder& folder, absl::string_view scenario_text,
                            RunReport& run, const std::function<void(HostResult&)>& finish_host);

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_RUN_FOLDER_H_
