// Joins what traces/recorder.h wrote: the pieces of a request become one profile, across drops as
// few as there are gaps. Reads a recording that was never closed as well, up to the last whole
// piece. Memory: 64 bytes a piece, and a frame.
#ifndef TIERSCOPE_TRACES_RECORDING_IMPORT_H_
#define TIERSCOPE_TRACES_RECORDING_IMPORT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

#include "traces/container.h"
#include "traces/import.h"

namespace tierscope {

// Whether the file is a container whose first record is a recorder's piece.
bool LooksLikeRecording(const std::string& path);

// Errors: damage in front of the end of a file that was closed.
absl::Status ImportRecordings(const std::vector<std::string>& files, const ImportOptions& options,
                              ContainerWriter* writer, ImportResult* result);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_RECORDING_IMPORT_H_
