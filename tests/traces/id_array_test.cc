#include "traces/id_array.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

#include "sim/base/rng.h"

namespace tierscope {
namespace {

struct Parsed {
  int64_t result;
  std::vector<uint32_t> ids;
};

Parsed Parse(const std::string& array) {
  const std::string padded = array + std::string(64, 'x');
  Parsed parsed;
  parsed.result = ForEachId({padded.data(), array.size()}, [&parsed](uint32_t id) {
    parsed.ids.push_back(id);
    return true;
  });
  return parsed;
}

TEST(IdArrayTest, NumbersOfEveryLength) {
  Rng rng(1);
  for (int round = 0; round < 2000; ++round) {
    std::vector<uint32_t> ids;
    for (uint64_t i = 0; i < rng.NextBelow(20); ++i) {
      ids.push_back(static_cast<uint32_t>(rng.NextBelow(uint64_t{1} << 32) >> rng.NextBelow(32)));
    }
    const Parsed parsed =
        Parse(absl::StrCat("[", absl::StrJoin(ids, round % 2 == 0 ? "," : ", "), "]"));
    EXPECT_EQ(parsed.result, static_cast<int64_t>(ids.size()));
    EXPECT_EQ(parsed.ids, ids);
  }
  EXPECT_EQ(Parse("[ 4294967295 , 0,\t99999999,100000000 ]").ids,
            (std::vector<uint32_t>{4294967295u, 0, 99999999, 100000000}));
}

TEST(IdArrayTest, WhatIsNoNumberIsNamedByItsIndex) {
  for (const auto& [text, index] :
       std::vector<std::pair<std::string, int64_t>>{{"[1,2,-3]", 2},
                                                    {"[1,x]", 1},
                                                    {"[1.5,2]", 0},
                                                    {"[1e3]", 0},
                                                    {"[1,,2]", 1},
                                                    {"[1,2", 1},
                                                    {"[1,", 1},
                                                    {"[4294967296]", 0},
                                                    {"[", 0},
                                                    {"[1 2]", 0},
                                                    {"[12345678901]", 0},
                                                    {"[null]", 0},
                                                    {"[123456789012345]", 0},
                                                    {"[1,[2]]", 1}}) {
    EXPECT_EQ(Parse(text).result, -1 - index) << text;
  }
  EXPECT_EQ(Parse("[]").result, 0);
  EXPECT_EQ(Parse("[  ]").result, 0);
}

}  // namespace
}  // namespace tierscope
