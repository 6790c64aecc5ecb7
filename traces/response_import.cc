#include "traces/response_import.h"

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "simdjson.h"

#include "sim/base/status_macros.h"
#include "traces/capture_import.h"
#include "traces/json_value.h"
#include "traces/line_reader.h"
#include "traces/source_file.h"

namespace tierscope {
namespace {

using Element = simdjson::dom::element;

// A whole number at `pointer`, or `otherwise` where there is none.
int64_t NumberAt(const Element& element, const char* pointer, int64_t otherwise) {
  int64_t value = 0;
  return element.at_pointer(pointer).get(value) == simdjson::SUCCESS && value >= 0 ? value
                                                                                   : otherwise;
}

class ResponseImporter {
 public:
  ResponseImporter(const ImportOptions& options, ContainerWriter* writer, ImportResult* result)
      : options_(options), captures_(options, writer, result) {}

  absl::Status ImportFile(const std::string& path, const ByteSource& source,
                          ImportProgress* progress) {
    LineReader reader(source);
    absl::string_view line;
    TIERSCOPE_ASSIGN_OR_RETURN(const bool has_line, reader.Next(&line));
    const absl::string_view first = absl::StripAsciiWhitespace(line);
    const bool one_a_line = has_line && absl::StartsWith(first, "{") && absl::EndsWith(first, "}");
    if (!one_a_line) return ImportDocument(path, source, progress);
    for (bool more = has_line; more;) {
      const std::string place = PlaceOfLine(path, reader.line_number());
      TIERSCOPE_RETURN_IF_ERROR(ImportText(place, line, progress));
      TIERSCOPE_ASSIGN_OR_RETURN(more, reader.Next(&line));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status ImportDocument(const std::string& path, const ByteSource& source,
                              ImportProgress* progress) {
    if (source.size_bytes() > kLineBytesMax) {
      return BadInput(path, absl::StrCat("a response of ", source.size_bytes(), " bytes"),
                      "save its capture as .npy, which is streamed");
    }
    std::string text(static_cast<size_t>(source.size_bytes()), '\0');
    TIERSCOPE_RETURN_IF_ERROR(source.ReadAt(0, text.data(), source.size_bytes()));
    return ImportText(path, text, progress);
  }

  absl::Status ImportText(const std::string& place, absl::string_view text,
                          ImportProgress* progress) {
    Element root;
    if (const auto error = parser_.parse(text.data(), text.size()).get(root);
        error != simdjson::SUCCESS) {
      return At(place, BadJson(error));
    }
    simdjson::dom::array list;
    if (root.get_array().get(list) != simdjson::SUCCESS) {
      TIERSCOPE_RETURN_IF_ERROR(ImportResponse(place, root));
    } else {
      int64_t index = 0;
      for (const Element element : list) {
        TIERSCOPE_RETURN_IF_ERROR(
            ImportResponse(absl::StrCat(place, ": response ", index++), element));
      }
    }
    progress->Advance(static_cast<int64_t>(text.size()));
    return absl::OkStatus();
  }

  absl::Status ImportResponse(const std::string& place, const Element& response) {
    std::string_view payload;
    if (response.at_pointer("/meta_info/indexer_topk").get(payload) == simdjson::SUCCESS) {
      return ImportRaw(place, ToAbsl(payload), response);
    }
    simdjson::dom::array choices;
    bool found = false;
    if (response.at_pointer("/choices").get(choices) == simdjson::SUCCESS) {
      for (const Element choice : choices) {
        if (choice.at_pointer("/indexer_topk").get(payload) == simdjson::SUCCESS) {
          const int64_t prompt = NumberAt(response, "/usage/prompt_tokens", -1);
          TIERSCOPE_RETURN_IF_ERROR(ImportNpy(place, ToAbsl(payload), prompt));
        } else if (choice.at_pointer("/meta_info/indexer_topk").get(payload) == simdjson::SUCCESS) {
          TIERSCOPE_RETURN_IF_ERROR(ImportRaw(place, ToAbsl(payload), choice));
        } else {
          continue;
        }
        found = true;
      }
    }
    if (found) return absl::OkStatus();
    return BadInput(place, "a response without a capture",
                    "start SGLang or vLLM with --enable-return-indexer-topk and ask for "
                    "indexer_topk in the request");
  }

  absl::StatusOr<std::unique_ptr<ByteSource>> Decode(const std::string& place,
                                                     absl::string_view payload) const {
    std::string bytes;
    if (absl::Base64Unescape(payload, &bytes)) {
      return MakeMemorySource(absl::StrCat(place, ": indexer_topk"), std::move(bytes));
    }
    return BadInput(place, "indexer_topk is no base64", "fetch the response again");
  }

  absl::StatusOr<CaptureInfo> InfoOf(const std::string& place, int64_t prompt_tokens,
                                     const char* engine) const {
    if (prompt_tokens < 0 && options_.prompt_tokens.size() == 1) {
      prompt_tokens = options_.prompt_tokens[0];
    }
    if (prompt_tokens < 0) {
      return BadInput(place, "the response does not say prompt_tokens", "give --prompt-tokens");
    }
    return CaptureInfo{prompt_tokens, options_.prompt_start_tokens,
                       absl::StrCat("a response of ", engine)};
  }

  absl::Status ImportNpy(const std::string& place, absl::string_view payload, int64_t prompt) {
    TIERSCOPE_ASSIGN_OR_RETURN(const auto source, Decode(place, payload));
    TIERSCOPE_ASSIGN_OR_RETURN(const TopkArray array, ReadNpyHeader(*source));
    TIERSCOPE_ASSIGN_OR_RETURN(const CaptureInfo info, InfoOf(place, prompt, "vLLM"));
    return ImportQuietly(*source, array, info);
  }

  // `element` holds a meta_info.
  absl::Status ImportRaw(const std::string& place, absl::string_view payload,
                         const Element& element) {
    TIERSCOPE_ASSIGN_OR_RETURN(const auto source, Decode(place, payload));
    const auto number = [&](const char* name) {
      return NumberAt(element, absl::StrCat("/meta_info/", name).c_str(), -1);
    };
    TIERSCOPE_ASSIGN_OR_RETURN(const CaptureInfo info,
                               InfoOf(place, number("prompt_tokens"), "SGLang"));
    const int64_t stated = number("indexer_topk_num_layers");
    const int64_t layers = stated > 0 ? stated : options_.layers;
    if (layers <= 0) {
      return BadInput(place, "the response does not say how many layers its capture has",
                      "give --layers");
    }
    const int64_t completion = number("completion_tokens");
    // The token generated last has not run, so it has no row.
    const int64_t rows = info.prompt_tokens + completion - 1 - info.prompt_start_tokens;
    int64_t topk = options_.topk;
    if (topk <= 0 && completion > 0 && rows > 0) topk = source->size_bytes() / 4 / rows / layers;
    if (topk <= 0) {
      return BadInput(place, "the response does not say how many entries a layer takes",
                      "give --topk");
    }
    TIERSCOPE_ASSIGN_OR_RETURN(const TopkArray array, RawTopkArray(*source, layers, topk));
    if (completion > 0 && array.tokens != rows) {
      return BadInput(place,
                      absl::StrCat("a capture of ", array.tokens,
                                   " tokens, prompt_tokens + "
                                   "completion_tokens - 1 - --prompt-start is ",
                                   rows),
                      "correct --prompt-start, --layers or --topk, or fetch it again");
    }
    return ImportQuietly(*source, array, info);
  }

  // The document's own bytes count as progress, not the decoded ones.
  absl::Status ImportQuietly(const ByteSource& source, const TopkArray& array,
                             const CaptureInfo& info) {
    ImportProgress silent(ImportOptions(), 0);
    return captures_.Import(source, array, info, &silent);
  }

  const ImportOptions& options_;
  CaptureImporter captures_;
  simdjson::dom::parser parser_{static_cast<size_t>(kLineBytesMax) + 64};
};

}  // namespace

absl::Status ImportTopkResponses(const std::vector<std::string>& files,
                                 const ImportOptions& options, ContainerWriter* writer,
                                 ImportResult* result) {
  std::vector<std::unique_ptr<ByteSource>> sources;
  int64_t all_bytes = 0;
  for (const std::string& file : files) {
    TIERSCOPE_ASSIGN_OR_RETURN(sources.emplace_back(), OpenFileSource(file));
    all_bytes += sources.back()->size_bytes();
  }
  ImportProgress progress(options, all_bytes);
  ResponseImporter importer(options, writer, result);
  for (size_t i = 0; i < files.size(); ++i) {
    TIERSCOPE_RETURN_IF_ERROR(importer.ImportFile(files[i], *sources[i], &progress));
  }
  progress.Finish();
  return absl::OkStatus();
}

}  // namespace tierscope
