#include "calibration/calibration_text.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "google/protobuf/text_format.h"

#include "sim/base/check.h"

namespace tierscope {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

double Rounded(double value) {
  double rounded = value;
  TIERSCOPE_CHECK(absl::SimpleAtod(absl::StrFormat("%.6g", value), &rounded));
  return rounded;
}

std::string OneLine(const Message& message) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  TIERSCOPE_CHECK(printer.PrintToString(message, &text));
  return std::string(absl::StripSuffix(text, " "));
}

// Which of the fits made the kernel of field `name`; empty for one that was carried.
std::string TableOf(const CalibrationFile& file, const std::string& name, const TopKKernel* top_k) {
  std::string family = name == "gemm_fp8"     ? "GEMM FP8"
                       : name == "gemm_bf16"  ? "GEMM BF16"
                       : name == "moe"        ? "MoE"
                       : name == "scoring"    ? "scoring"
                       : name == "attention"  ? "HCA attention"
                       : name == "csa_layer"  ? "CSA layer"
                       : name == "hca_layer"  ? "HCA layer"
                       : name == "all_reduce" ? "all-reduce"
                                              : "";
  if (top_k != nullptr) {
    family = absl::StrCat("top-", top_k->k(), " ", top_k->version() == TopKKernel::V1 ? "v1" : "v2",
                          top_k->scores() == TopKKernel::FLAT ? "_flat" : "_top_last");
  }
  for (const FamilyFit& fit : file.fits()) {
    if (fit.family() == family && fit.rows_fitted() > 0) return fit.tables(0);
  }
  return "";
}

std::string Caveat(const std::string& name, const TopKKernel* top_k) {
  if (name == "moe") return "; tile_rows_low_bit UNKNOWN: the smallest tile of tensor cores";
  if (name == "scoring") return "; memory_efficiency: a device copy on one H100, 3.0 of 3.35 TB/s";
  if (top_k != nullptr && top_k->version() == TopKKernel::V2) {
    return "; large_sms UNKNOWN: the table ends at 4 requests";
  }
  return "";
}

std::string KernelLine(const CalibrationFile& file, const std::string& name, const Message& kernel,
                       const TopKKernel* top_k) {
  const std::string table = TableOf(file, name, top_k);
  const std::string source = table.empty()
                                 ? "carried from another card by the rule of calibration/carry.h"
                                 : absl::StrCat("fitted to ", table);
  return absl::StrCat("  ", name, " { ", OneLine(kernel), " }  # [D] ", source, Caveat(name, top_k),
                      "\n");
}

}  // namespace

void RoundForText(Message* message) {
  const Reflection& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE && field->is_repeated()) {
      for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
        reflection.SetRepeatedDouble(message, field, i,
                                     Rounded(reflection.GetRepeatedDouble(*message, field, i)));
      }
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
      reflection.SetDouble(message, field, Rounded(reflection.GetDouble(*message, field)));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_repeated()) {
      RoundForText(reflection.MutableMessage(message, field));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
        RoundForText(reflection.MutableRepeatedMessage(message, field, i));
      }
    }
  }
}

std::string CalibrationText(const CalibrationFile& file, const std::string& command) {
  const KernelCalibration& kernels = file.kernels();
  std::string text = absl::StrCat(
      "# proto-file: scenarios/calibration.proto\n"
      "# proto-message: tierscope.CalibrationFile\n#\n# Kernel times of ",
      kernels.device(), ". Written by\n#   ", command,
      "\n# Tags: [S] read in the source named, [D] arithmetic on [S] numbers, UNKNOWN an "
      "assumption "
      "to sweep. The\n# tables are public and not part of this repository; calibration/README.md "
      "names their sources.\nkernels {\n  device: \"",
      kernels.device(), "\"\n  sm_count: ", kernels.sm_count(), "  # [S] datasheet\n");
  if (kernels.has_carried()) absl::StrAppend(&text, "  carried: \"", kernels.carried(), "\"\n");
  std::vector<const FieldDescriptor*> fields;
  const Reflection& reflection = *kernels.GetReflection();
  reflection.ListFields(kernels, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_repeated()) continue;
    absl::StrAppend(
        &text, KernelLine(file, field->name(), reflection.GetMessage(kernels, field), nullptr));
  }
  for (const TopKKernel& top_k : kernels.top_k()) {
    absl::StrAppend(&text, KernelLine(file, "top_k", top_k, &top_k));
  }
  absl::StrAppend(&text,
                  "}\n\n# Errors |predicted / measured - 1|, on every fifth row, which is "
                  "kept out of the fit; where rows_fitted is 0, on all rows.\n");
  for (const FamilyFit& fit : file.fits()) {
    absl::StrAppend(&text, "fits { ", OneLine(fit), " }  # [D] of this fit\n");
  }
  absl::StrAppend(&text, "\n");
  for (const CalibrationTable& table : file.tables()) {
    absl::StrAppend(&text, "tables { ", OneLine(table), " }  # [D] of the file\n");
  }
  return text;
}

}  // namespace tierscope
