#include "reports/page_files.h"

// The files' bytes, by the assembler: a string literal of this size takes the compiler seconds.
#define TIERSCOPE_EMBED(symbol, file)     \
  asm(".pushsection .rodata\n"            \
      ".global " #symbol "\n" #symbol     \
      ":\n"                               \
      ".incbin \"" file                   \
      "\"\n"                              \
      ".global " #symbol "_end\n" #symbol \
      "_end:\n"                           \
      ".byte 0\n"                         \
      ".popsection\n");                   \
  extern "C" const char symbol[];         \
  extern "C" const char symbol##_end[]

TIERSCOPE_EMBED(tierscope_page_style, TIERSCOPE_PAGE_FOLDER "/style.css");
TIERSCOPE_EMBED(tierscope_page_script, TIERSCOPE_PAGE_FOLDER "/page.js");
TIERSCOPE_EMBED(tierscope_page_libraries, TIERSCOPE_PAGE_FOLDER "/libraries.js");
TIERSCOPE_EMBED(tierscope_page_missing, TIERSCOPE_PAGE_FOLDER "/missing.txt");

namespace tierscope {
namespace {

absl::string_view Between(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

}  // namespace

PageFiles EmbeddedPageFiles() {
  return {Between(tierscope_page_style, tierscope_page_style_end),
          Between(tierscope_page_script, tierscope_page_script_end),
          Between(tierscope_page_libraries, tierscope_page_libraries_end),
          Between(tierscope_page_missing, tierscope_page_missing_end)};
}

}  // namespace tierscope
