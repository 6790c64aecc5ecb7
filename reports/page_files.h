// What the interactive report is made of besides its data: the page's own style and script, and the
// libraries that draw its charts. Part of the binary, put there by cmake/ReportPage.cmake.
#ifndef TIERSCOPE_REPORTS_PAGE_FILES_H_
#define TIERSCOPE_REPORTS_PAGE_FILES_H_

#include "absl/strings/string_view.h"

namespace tierscope {

struct PageFiles {
  absl::string_view style;
  absl::string_view script;
  // Vega, Vega-Lite and Vega's interpreter as npm delivers them, with their licences; empty where
  // the build had no npm.
  absl::string_view libraries;
  absl::string_view missing;  // where they are empty: what the build lacked
};

PageFiles EmbeddedPageFiles();

}  // namespace tierscope

#endif  // TIERSCOPE_REPORTS_PAGE_FILES_H_
