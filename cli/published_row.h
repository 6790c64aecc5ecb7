// One published result beside what the code predicts. Class A is arithmetic, B a fitted or
// predicted time, C shape or order only.
#ifndef TIERSCOPE_CLI_PUBLISHED_ROW_H_
#define TIERSCOPE_CLI_PUBLISHED_ROW_H_

#include <optional>
#include <string>

namespace tierscope::cli {

struct PublishedRow {
  std::string id;         // "7", of a group of published values
  std::string subject;    // what was published
  std::string published;  // with its unit
  std::string predicted;
  std::optional<double> error;  // predicted / published - 1
  std::string bound;
  char evidence_class = 'A';
  bool fitted = false;  // a constant was fitted to this very row
  bool pass = false;
  std::string note;
};

// A row of one number, class A: `tolerance` absolute, or a fraction of the published value.
// `format` prints a double.
PublishedRow NumberRow(const std::string& id, const std::string& subject, double published,
                       double predicted, const char* format, const std::string& unit,
                       double tolerance, bool relative);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_PUBLISHED_ROW_H_
