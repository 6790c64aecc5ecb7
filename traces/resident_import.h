// FlashMemory's resident dump (SGLANG_RESIDENT_DUMP): per decision a line
// {"cycle","req","step","n_blk","n_keep","resident_ids"}, one file a tensor-parallel rank. It holds
// decisions only, so a trace of it replays at the recorded tau, threshold and page_kmax alone.
//
// What its writer does, and what is made of it: `req` is a slot that later requests use again, and
// a request whose row moves starts again at step 0, so every record of step 0 opens a profile, as
// does one that does not follow from the record before it. The step is read on another thread than
// it is counted on and may be a few late; n_blk is not. Under staggered ticks the first window is
// shorter and is left out.
//
// Memory: 48 bytes a line, and a line a file.
#ifndef TIERSCOPE_TRACES_RESIDENT_IMPORT_H_
#define TIERSCOPE_TRACES_RESIDENT_IMPORT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

#include "traces/container.h"
#include "traces/import.h"

namespace tierscope {

// `files` are the dumps of the ranks of one server, which must agree line by line: ranks that keep
// different sets compute different attention. Errors name file and line; a disagreement also
// request and window.
absl::Status ImportResidentDump(const std::vector<std::string>& files, const ImportOptions& options,
                                ContainerWriter* writer, ImportResult* result);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_RESIDENT_IMPORT_H_
