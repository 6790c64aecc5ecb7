// Helpers of the trace tests: files in the test's temporary folder, containers from records.
#ifndef TIERSCOPE_TESTS_TRACES_TRACE_TESTING_H_
#define TIERSCOPE_TESTS_TRACES_TRACE_TESTING_H_

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/temp_folder.h"
#include "traces/container.h"

namespace tierscope {

// A path of the running test's own, in a folder that goes with the process: tests run in parallel.
inline std::string TempPath(const std::string& name) {
  static const testing::TempFolder folder;
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  std::string file = std::string(test->test_suite_name()) + "-" + test->name() + "-" + name;
  for (char& c : file) c = c == '/' ? '-' : c;
  return folder.File(file);
}

inline std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

inline void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline void WriteContainer(const std::string& path, const std::vector<TraceRecord>& records) {
  auto writer = ContainerWriter::Open(path);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const TraceRecord& record : records) ASSERT_TRUE((*writer)->Append(record).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
}

// Records up to the end or the first error, and that.
struct ReadResult {
  std::vector<TraceRecord> records;
  absl::Status status;
};

inline ReadResult ReadContainer(const std::string& path) {
  ReadResult result;
  auto reader = ContainerReader::Open(path);
  if (!reader.ok()) return {{}, reader.status()};
  TraceRecord record;
  for (;;) {
    auto more = (*reader)->Next(&record);
    if (!more.ok()) result.status = more.status();
    if (!more.ok() || !*more) return result;
    result.records.push_back(record);
  }
}

}  // namespace tierscope

#endif  // TIERSCOPE_TESTS_TRACES_TRACE_TESTING_H_
