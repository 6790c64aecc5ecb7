// tierscope trace cat: the records of a container, a line each.
#include <cstdio>
#include <memory>
#include <string>

#include "cli/trace.h"
#include "cli/verb.h"
#include "google/protobuf/util/json_util.h"

#include "sim/base/check.h"
#include "sim/base/status_macros.h"
#include "traces/container.h"

namespace tierscope::cli {
namespace {

struct Arguments {
  std::string file;
  std::string format = "text";
  int64_t limit = 0;
};

std::string AsLine(const TraceRecord& record, const std::string& format) {
  if (format == "text") return record.ShortDebugString();
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string line;
  TIERSCOPE_CHECK(google::protobuf::util::MessageToJsonString(record, &line, options).ok());
  return line;
}

absl::Status Cat(const Arguments& arguments) {
  TIERSCOPE_ASSIGN_OR_RETURN(const auto reader, ContainerReader::Open(arguments.file));
  TraceRecord record;
  while (arguments.limit == 0 || reader->records_read() < arguments.limit) {
    TIERSCOPE_ASSIGN_OR_RETURN(const bool more, reader->Next(&record));
    if (!more) break;
    if (std::puts(AsLine(record, arguments.format).c_str()) < 0) break;  // nobody reads any more
  }
  return absl::OkStatus();
}

}  // namespace

void AddTraceCat(CLI::App& trace, int* exit_code) {
  CLI::App* app = trace.add_subcommand("cat", "Print the records of a trace, one per line");
  auto arguments = std::make_shared<Arguments>();
  app->add_option("file", arguments->file, "Trace file")->required();
  app->add_option("--format", arguments->format, "text (protobuf) or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app->add_option("--limit", arguments->limit, "Records to print, 0 = all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app->callback([arguments, exit_code] { *exit_code = ExitCode(Cat(*arguments)); });
}

}  // namespace tierscope::cli
