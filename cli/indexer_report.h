// What `tierscope trace info` says of a memory indexer's scores: traces/indexer_quality.h as a
// table and as JSON.
#ifndef TIERSCOPE_CLI_INDEXER_REPORT_H_
#define TIERSCOPE_CLI_INDEXER_REPORT_H_

#include <string>
#include <vector>

#include "traces/indexer_quality.h"

namespace tierscope::cli {

// Of all profiles together. Where the trace cannot tell, the reason.
std::string IndexerTable(const std::vector<IndexerQualityCounts>& profiles,
                         const std::vector<double>& thresholds);

// {"golden": {...}, "selected": {...}} of all profiles together; null where the trace cannot tell.
std::string IndexerJson(const std::vector<IndexerQualityCounts>& profiles,
                        const std::vector<double>& thresholds);

}  // namespace tierscope::cli

#endif  // TIERSCOPE_CLI_INDEXER_REPORT_H_
