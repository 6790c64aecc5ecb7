// The fuzz targets: a function each, from any bytes to nothing. libFuzzer calls one with inputs
// that it makes up (fuzzer_main.cc), corpus_test.cc calls each with the inputs kept under corpus/.
//
// What every target demands: no crash, no undefined behaviour; an error is one printable line of
// bounded length that names the file; what is read keeps the rules of its header; and where there
// is a writer, what it writes reads back equal. A broken demand aborts with its line.
#ifndef TIERSCOPE_TESTS_FUZZ_TARGETS_H_
#define TIERSCOPE_TESTS_FUZZ_TARGETS_H_

#include "absl/strings/string_view.h"

#include "traces/import.h"

namespace tierscope::testing {

void FuzzContainer(absl::string_view input);          // a container's bytes
void FuzzAttention(absl::string_view input);          // records (framing.h) of an attention trace
void FuzzWireRecord(absl::string_view input);         // one serialized record
void FuzzRequestContainer(absl::string_view input);   // records (framing.h) of a request trace
void FuzzMooncake(absl::string_view input);           // JSONL
void FuzzWeka(absl::string_view input);               // JSON
void FuzzAzure(absl::string_view input);              // CSV
void FuzzRequestTrace(absl::string_view input);       // a file of any format
void FuzzOracleGeneral(absl::string_view input);      // binary records
void FuzzJsonValue(absl::string_view input);          // one JSON document
void FuzzScenario(absl::string_view input);           // scenario text, then \0 and a preset's text
void FuzzOverrides(absl::string_view input);          // arguments of --set, one a line
void FuzzOptions(absl::string_view input);            // other option values, one a line
void FuzzImportNpy(absl::string_view input);          // a top-k capture
void FuzzImportSafetensors(absl::string_view input);  // a label dump
void FuzzImportRecording(absl::string_view input);    // what the recorder writes
void FuzzImportJsonl(absl::string_view input);        // resident dump, step log, responses
void FuzzIndexer(absl::string_view input);            // an indexer's checkpoint or dump
void FuzzKernelTable(absl::string_view input);        // CSV of kernel timings
void FuzzModelConfig(absl::string_view input);        // config.json
void FuzzSweep(absl::string_view input);              // sweep text
void FuzzResult(absl::string_view input);             // result.json, or what --format=json prints
void FuzzGates(absl::string_view input);              // gates.txtpb
void FuzzSamples(absl::string_view input);            // samples.csv

// What the import targets say where a format leaves something open: small limits.
ImportOptions SmallImport();
void FuzzReportInput(absl::string_view input);  // a file that a report is made of

struct FuzzTarget {
  const char* name;  // of the folder under corpus/ and of the binary, with "fuzz_" before it
  void (*run)(absl::string_view input);
};

inline constexpr FuzzTarget kFuzzTargets[] = {
    {"container", FuzzContainer},
    {"attention", FuzzAttention},
    {"wire_record", FuzzWireRecord},
    {"request_container", FuzzRequestContainer},
    {"mooncake", FuzzMooncake},
    {"weka", FuzzWeka},
    {"azure", FuzzAzure},
    {"request_trace", FuzzRequestTrace},
    {"oracle_general", FuzzOracleGeneral},
    {"json_value", FuzzJsonValue},
    {"scenario", FuzzScenario},
    {"overrides", FuzzOverrides},
    {"options", FuzzOptions},
    {"import_npy", FuzzImportNpy},
    {"import_safetensors", FuzzImportSafetensors},
    {"import_recording", FuzzImportRecording},
    {"import_jsonl", FuzzImportJsonl},
    {"indexer", FuzzIndexer},
    {"kernel_table", FuzzKernelTable},
    {"model_config", FuzzModelConfig},
    {"sweep", FuzzSweep},
    {"result", FuzzResult},
    {"gates", FuzzGates},
    {"samples", FuzzSamples},
    {"report_input", FuzzReportInput},
};

}  // namespace tierscope::testing

#endif  // TIERSCOPE_TESTS_FUZZ_TARGETS_H_
