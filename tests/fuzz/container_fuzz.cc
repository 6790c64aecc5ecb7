#include <memory>
#include <string>

#include "google/protobuf/util/json_util.h"

#include "sim/base/check.h"
#include "tests/fuzz/inputs.h"
#include "tests/fuzz/targets.h"
#include "traces/container.h"
#include "traces/container_verify.h"

namespace tierscope::testing {
namespace {

// Records read before the end or the first error, which is kept.
struct ReadOutcome {
  int64_t records = 0;
  absl::Status status;
};

ReadOutcome ReadAll(const std::string& path) {
  auto reader = ContainerReader::Open(path);
  if (!reader.ok()) return {0, reader.status()};
  TraceRecord record;
  ReadOutcome outcome;
  for (;; ++outcome.records) {
    const absl::StatusOr<bool> more = (*reader)->Next(&record);
    if (!more.ok()) {
      TIERSCOPE_CHECK((*reader)->Next(&record).status() == more.status());
      outcome.status = more.status();
      return outcome;
    }
    TIERSCOPE_CHECK((*reader)->records_read() == outcome.records + (*more ? 1 : 0));
    if (!*more) break;
    // What `tierscope trace cat` demands of every record.
    std::string line;
    TIERSCOPE_CHECK(google::protobuf::util::MessageToJsonString(record, &line).ok());
  }
  TIERSCOPE_CHECK(outcome.records == (*reader)->record_count());
  return outcome;
}

void CheckReport(const ContainerReport& report, absl::string_view input) {
  TIERSCOPE_CHECK(report.file_bytes == static_cast<int64_t>(input.size()));
  int64_t end = 0;
  for (const DamagedRange& range : report.damaged) {
    TIERSCOPE_CHECK(range.begin >= end && range.end >= range.begin && !range.what.empty());
    end = range.end;
  }
}

// Verifies, recovers, and reads what was recovered.
absl::StatusOr<ContainerReport> Recover(const std::string& path) {
  auto writer = ContainerWriter::Open(ScratchPath());
  TIERSCOPE_CHECK(writer.ok());
  absl::StatusOr<ContainerReport> report = VerifyContainer(path, writer->get());
  if (!report.ok()) return report;
  TIERSCOPE_CHECK((*writer)->Finish().ok());
  const ReadOutcome recovered = ReadAll(ScratchPath());
  TIERSCOPE_CHECK(recovered.status.ok());
  const auto gaps = static_cast<int64_t>(report->damaged.size());
  TIERSCOPE_CHECK(recovered.records >= report->records_good);
  TIERSCOPE_CHECK(recovered.records <= report->records_good + gaps);
  return report;
}

}  // namespace

void FuzzContainer(absl::string_view input) {
  static MemoryFile file;
  const std::string& path = file.Fill(input);
  const ReadOutcome outcome = ReadAll(path);
  if (!outcome.status.ok()) CheckError(outcome.status, path);
  const absl::StatusOr<ContainerReport> report = Recover(path);
  TIERSCOPE_CHECK(report.ok() || !outcome.status.ok());
  if (!report.ok()) return CheckError(report.status(), path);
  CheckReport(*report, input);
  // Whole for one is whole for the other.
  TIERSCOPE_CHECK(report->damaged.empty() == outcome.status.ok());
  if (!outcome.status.ok()) return;
  TIERSCOPE_CHECK(LooksLikeContainer(path));
  TIERSCOPE_CHECK(report->records_good == outcome.records);
}

}  // namespace tierscope::testing
