// The indexer's arithmetic against a reference in double that is written down from the definition:
// no table, no fast transform, no shared helper. Every bound is a rounding analysis.
#include <algorithm>
#include <bit>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

#include "sim/base/rng.h"
#include "traces/indexer/indexer_forward.h"
#include "traces/indexer/rope.h"

namespace tierscope {
namespace {

constexpr double kFloatUnit = 0x1p-24;  // largest relative error of one float operation
constexpr double kBf16Unit = 0x1p-8;    // bf16 has 8 bits
constexpr double kE4m3Unit = 0x1p-4;    // e4m3 has 4 bits

std::vector<float> Draw(size_t count, double deviation, Rng* rng) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(rng->NextNormal() * deviation);
  return values;
}

// ---- the reference ----

// Radians a token: pairs below `low` keep their frequency, those from `high` on turn 16 times as
// slowly, with a straight line in between.
double ReferenceFrequency(int pair, int dims) {
  const auto dim_of = [&](double turns) {
    return dims * std::log(65536.0 / (turns * 2.0 * M_PI)) / (2.0 * std::log(160000.0));
  };
  const double low = std::max(std::floor(dim_of(32.0)), 0.0);
  const double high = std::min(std::ceil(dim_of(1.0)), dims / 2 - 1.0);
  const double plain = 1.0 / std::pow(160000.0, 2.0 * pair / dims);
  if (pair >= high) return plain / 16.0;
  if (pair < low) return plain;
  return plain / 16.0 * (pair - low) / (high - low) + plain * (high - pair) / (high - low);
}

// Rounds to 8 significant bits, ties to even.
double Bf16(double x) {
  if (x == 0.0) return x;
  const double unit = std::exp2(std::floor(std::log2(std::fabs(x))) - 7.0);
  return std::nearbyint(x / unit) * unit;
}

// Every value of e4m3 without its sign, rising.
std::vector<double> E4m3Magnitudes() {
  std::vector<double> values;
  for (int mantissa = 0; mantissa < 8; ++mantissa) values.push_back(mantissa * 0x1p-9);
  for (int exponent = 1; exponent < 16; ++exponent) {
    for (int mantissa = 0; mantissa < 8; ++mantissa) {
      if (exponent < 15 || mantissa < 7) {
        values.push_back(std::ldexp(1.0 + mantissa / 8.0, exponent - 7));
      }
    }
  }
  return values;
}

double E4m3Value(uint8_t code) {
  const double magnitude = E4m3Magnitudes().at(code & 0x7F);
  return (code & 0x80) != 0 ? -magnitude : magnitude;
}

std::vector<double> ReferenceProduct(const std::vector<float>& matrix,
                                     const std::vector<double>& x) {
  std::vector<double> out(matrix.size() / x.size());
  for (size_t row = 0; row < out.size(); ++row) {
    for (size_t c = 0; c < x.size(); ++c) out[row] += double(matrix[row * x.size() + c]) * x[c];
  }
  return out;
}

std::vector<double> ReferenceNorm(const std::vector<float>& gain, const std::vector<double>& x) {
  double mean = 0.0;
  for (const double value : x) mean += value * value / double(x.size());
  std::vector<double> out;
  for (size_t i = 0; i < x.size(); ++i) out.push_back(x[i] / std::sqrt(mean + 1e-6) * gain[i]);
  return out;
}

// Neighbours are the real and imaginary part of a number that turns; `round` is bf16's or none.
template <typename Round>
std::vector<double> ReferenceRope(std::vector<double> head, int64_t position, Round round) {
  const int dims = int(head.size()) / 2;
  for (double& value : head) value = round(value);
  for (int pair = 0; pair < dims / 2; ++pair) {
    double* at = &head[head.size() - size_t(dims) + 2 * size_t(pair)];
    const double angle = ReferenceFrequency(pair, dims) * double(position);
    const std::complex<double> turned = std::complex(at[0], at[1]) * std::polar(1.0, angle);
    at[0] = round(turned.real());
    at[1] = round(turned.imag());
  }
  return head;
}

std::vector<double> ReferenceHadamard(const std::vector<double>& x) {
  std::vector<double> out(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    for (size_t j = 0; j < x.size(); ++j) {
      out[i] += (std::popcount(i & j) % 2 == 0 ? x[j] : -x[j]) / std::sqrt(double(x.size()));
    }
  }
  return out;
}

std::vector<double> Widen(std::span<const float> x) { return {x.begin(), x.end()}; }
double Length(const std::vector<double>& x) {
  double squares = 0.0;
  for (const double value : x) squares += value * value;
  return std::sqrt(squares);
}
double Largest(const std::vector<double>& x) {
  double largest = 0.0;
  for (const double value : x) largest = std::max(largest, std::fabs(value));
  return largest;
}

// ---- stages ----

TEST(IndexerForwardTest, FrequenciesByHand) {
  // 64 dims. 160000 = 20^4, so pair i has 20^(-i / 8) before the ramp. Turns within 65,536 tokens:
  // 64 ln(65536 / (2 pi 32)) / (2 ln 160000) = 15.45, floor 15; with 1 turn 24.71, ceil 25.
  const std::vector<double> f = YarnFrequencies(64, YarnParameters());
  ASSERT_EQ(f.size(), 32u);
  const auto expect = [&](size_t pair, double value) {
    EXPECT_NEAR(f[pair] / value, 1.0, 1e-13) << pair;
  };
  expect(0, 1.0);
  expect(8, 1.0 / 20.0);
  expect(15, std::pow(20.0, -15.0 / 8.0));                // the last with its own frequency
  expect(16, 1.0 / 400.0 * (0.9 + 0.1 / 16.0));           // a tenth of the ramp
  expect(20, std::pow(20.0, -2.5) * (0.5 + 0.5 / 16.0));  // half of it
  expect(24, 1.0 / 8000.0 * (0.1 + 0.9 / 16.0));
  expect(25, std::pow(20.0, -25.0 / 8.0) / 16.0);  // from here on 16 times as slow
  expect(31, std::pow(20.0, -31.0 / 8.0) / 16.0);
  for (const int dims : {2, 4, 8, 16, 64, 128}) {
    const std::vector<double> of_dims = YarnFrequencies(dims, YarnParameters());
    for (int pair = 0; pair < dims / 2; ++pair) {
      EXPECT_NEAR(of_dims[size_t(pair)] / ReferenceFrequency(pair, dims), 1.0, 1e-12);
    }
  }
}

TEST(IndexerForwardTest, ProductInLanes) {
  Rng rng(1);
  for (const int columns : {1, 15, 16, 50, 512}) {
    const std::vector<float> matrix = Draw(size_t(7 * columns), 1.0, &rng);
    const std::vector<float> inputs = Draw(size_t(3 * columns), 1.0, &rng);
    std::vector<float> out(21);
    MultiplyRows(matrix, columns, inputs, out);
    for (size_t b = 0; b < 3; ++b) {
      const std::vector<double> x =
          Widen(std::span(inputs).subspan(b * size_t(columns), size_t(columns)));
      const std::vector<double> expected = ReferenceProduct(matrix, x);
      for (size_t row = 0; row < 7; ++row) {
        double magnitude = 0.0;
        for (size_t c = 0; c < x.size(); ++c) {
          magnitude += std::fabs(double(matrix[row * x.size() + c]) * x[c]);
        }
        // A product and columns / 16 + 1 + 16 additions on the way of every term.
        EXPECT_NEAR(out[b * 7 + row], expected[row], (columns / 16 + 18) * kFloatUnit * magnitude);
      }
    }
  }
}

TEST(IndexerForwardTest, RmsNorm) {
  Rng rng(2);
  for (const double deviation : {1e-4, 1.0, 300.0}) {  // at 1e-4 the epsilon counts
    const std::vector<float> gain = Draw(40, 1.0, &rng), x = Draw(40, deviation, &rng);
    std::vector<float> out = x;
    RmsNorm(gain, out);
    const std::vector<double> expected = ReferenceNorm(gain, Widen(x));
    // Squares: 40 / 16 + 18 errors, halved by the root; then 5 operations.
    for (size_t i = 0; i < 40; ++i) {
      EXPECT_NEAR(out[i], expected[i], 16 * kFloatUnit * std::fabs(expected[i]));
    }
  }
}

TEST(IndexerForwardTest, RotationByHand) {
  // head_dim 8: dims 4 to 7 turn, pairs (4, 5) and (6, 7). Frequencies: 20^0 and 20^-2 = 1/400,
  // the second slowed by the ramp between low = floor(0.97) = 0 and high = min(2, 1).
  const std::vector<double> f = YarnFrequencies(4, YarnParameters());
  ASSERT_NEAR(f[0], 1.0, 1e-13);
  ASSERT_NEAR(f[1], 1.0 / 400.0 / 16.0, 1e-15);
  std::vector<double> head = {1, 2, 3, 4, 1, 0, 0, 1};
  const Rotation turn(f, 3);
  turn.Rotate(head);
  const double slow = 3.0 / 6400.0;
  const std::vector<double> expected = {
      1, 2, 3, 4, std::cos(3), std::sin(3), -std::sin(slow), std::cos(slow)};
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(head[i], expected[i], 1e-7) << i;  // float table
  turn.Invert(head);
  const std::vector<double> back = {1, 2, 3, 4, 1, 0, 0, 1};
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(head[i], back[i], 1e-6) << i;
}

TEST(IndexerForwardTest, RotationInBf16) {
  Rng rng(3);
  const std::vector<double> f = YarnFrequencies(64, YarnParameters());
  for (const int64_t position : {0, 1, 777, 65536, 1048575}) {
    const std::vector<float> x = Draw(128, 1.0, &rng);
    std::vector<float> out = x;
    Rotation(f, position).RotateBf16(out);
    const auto none = [](double value) { return value; };
    const std::vector<double> expected = ReferenceRope(Widen(x), position, none);
    for (size_t i = 0; i < 128; ++i) {
      if (i < 64) {
        EXPECT_EQ(out[i], Bf16(x[i])) << i;  // not turned
        continue;
      }
      const size_t pair = (i - 64) / 2, at = 64 + 2 * pair;
      const double length = std::hypot(x[at], x[at + 1]);
      // The frequency, the position and their product are floats; the result is the turned pair
      // within that angle, two roundings to bf16 and a few float operations.
      const double angle = 3.0 * kFloatUnit * f[pair] * double(position);
      EXPECT_NEAR(out[i], expected[i], length * (angle + 2.02 * kBf16Unit + 6 * kFloatUnit)) << i;
    }
  }
}

TEST(IndexerForwardTest, HadamardIsTheMatrix) {
  Rng rng(4);
  for (const size_t size : {4u, 32u, 128u}) {
    const std::vector<float> x = Draw(size, 1.0, &rng);
    std::vector<float> out = x;
    Hadamard(std::span<float>(out));
    std::vector<double> wide = Widen(x);
    Hadamard(std::span<double>(wide));
    const std::vector<double> expected = ReferenceHadamard(Widen(x));
    double sum = 0.0;
    for (const float value : x) sum += std::fabs(value);
    const double depth = std::log2(double(size)) + 2;
    for (size_t i = 0; i < size; ++i) {
      EXPECT_NEAR(out[i], expected[i], depth * kFloatUnit * sum / std::sqrt(double(size)));
      EXPECT_NEAR(wide[i], expected[i], depth * 0x1p-52 * sum);
    }
    EXPECT_NEAR(Length(Widen(out)), Length(Widen(x)), 1e-5 * Length(Widen(x)));  // orthogonal
  }
}

TEST(IndexerForwardTest, HeadsAreRoundedToTheNearestE4m3) {
  Rng rng(5);
  const std::vector<double> magnitudes = E4m3Magnitudes();
  for (const double deviation : {1e-5, 1.0, 1e4}) {
    std::vector<float> x = Draw(128, deviation, &rng);
    x[7] = 0.0f;
    std::vector<uint8_t> codes(128);
    const float scale = QuantizeHead(x, codes);
    EXPECT_NEAR(scale, Largest(Widen(x)) / 448.0, kFloatUnit * scale);
    for (size_t i = 0; i < 128; ++i) {
      const double scaled = double(x[i]) / scale;
      double nearest = 1e9;
      for (const double m : magnitudes) {
        for (const double value : {m, -m}) {
          if (std::fabs(value - scaled) < std::fabs(nearest - scaled)) nearest = value;
        }
      }
      // The quotient is a float: near a tie either neighbour is right.
      EXPECT_LE(std::fabs(E4m3Value(codes[i]) - scaled),
                std::fabs(nearest - scaled) + 2 * kFloatUnit * std::fabs(scaled));
    }
  }
  std::vector<uint8_t> codes(4, 9);
  EXPECT_EQ(QuantizeHead(std::vector<float>(4, 0.0f), codes), 1e-12f / 448.0f);
  EXPECT_EQ(codes, (std::vector<uint8_t>{0, 0, 0, 0}));
}

// ---- all of them ----

struct Case {
  LayerWeights weights;
  std::vector<float> hidden;  // [tick][hidden]
  std::vector<int64_t> positions;
};

Case MakeCase(IndexerShape shape, std::vector<int64_t> positions) {
  Rng rng(6, uint64_t(shape.head_dim));
  Case c;
  c.positions = std::move(positions);
  c.hidden = Draw(c.positions.size() * size_t(shape.hidden), 3.0, &rng);
  c.weights = {.csa_layer = 10,
               .shape = shape,
               .wq_a = Draw(size_t(shape.rank * shape.hidden), 0.2, &rng),
               .q_norm = Draw(size_t(shape.rank), 1.0, &rng),
               .wq_b = Draw(size_t(shape.query_values() * shape.rank), 0.2, &rng),
               .weights_proj = Draw(size_t(shape.heads * shape.hidden), 0.2, &rng)};
  // Heads of very different size: one scale for all of them would round most to nothing.
  for (size_t i = 0; i < c.weights.wq_b.size(); ++i) {
    const auto head = int(i / size_t(shape.head_dim * shape.rank));
    c.weights.wq_b[i] *= std::ldexp(1.0f, -3 * head);
  }
  return c;
}

struct ReferenceQuery {
  std::vector<std::vector<double>> heads;  // before e4m3, [head][head_dim]
  std::vector<double> head_weights;        // without the head's scale
};

// From hidden state to what is rounded to e4m3, bf16's roundings included.
ReferenceQuery ReferenceOf(const Case& c, size_t tick) {
  const IndexerShape& s = c.weights.shape;
  const std::vector<double> h =
      Widen(std::span(c.hidden).subspan(tick * size_t(s.hidden), size_t(s.hidden)));
  const std::vector<double> queries = ReferenceProduct(
      c.weights.wq_b, ReferenceNorm(c.weights.q_norm, ReferenceProduct(c.weights.wq_a, h)));
  ReferenceQuery query;
  for (int head = 0; head < s.heads; ++head) {
    const auto begin = queries.begin() + head * s.head_dim;
    query.heads.push_back(
        ReferenceHadamard(ReferenceRope({begin, begin + s.head_dim}, c.positions[tick], Bf16)));
  }
  for (const double weight : ReferenceProduct(c.weights.weights_proj, h)) {
    query.head_weights.push_back(weight / std::sqrt(double(s.head_dim)) /
                                 std::sqrt(double(s.heads)));
  }
  return query;
}

class WholeForwardTest : public ::testing::TestWithParam<IndexerShape> {};

TEST_P(WholeForwardTest, QueriesAreTheReferencesRounded) {
  const IndexerShape shape = GetParam();
  const Case c = MakeCase(shape, {0, 130, 70001});
  const std::vector<IndexerQuery> queries = MakeQueries(c.weights, c.hidden, c.positions);
  ASSERT_EQ(queries.size(), 3u);
  for (size_t tick = 0; tick < 3; ++tick) {
    const ReferenceQuery expected = ReferenceOf(c, tick);
    ASSERT_EQ(queries[tick].head_weights.size(), size_t(shape.heads));
    for (size_t h = 0; h < size_t(shape.heads); ++h) {
      const std::vector<double>& head = expected.heads[h];
      // What the reference does not follow: float projections (1e-5 of a head's length covers
      // (hidden + rank) / 16 + 40 roundings of terms that may cancel), float angles, and that
      // either may push a value over a tie of bf16: of n values in a head about n times that part
      // of a bf16 step do; each moves every value by at most a step / sqrt(n).
      const double angle = 3.0 * kFloatUnit * double(c.positions[tick]);
      const double slack =
          Length(head) * (1e-5 + angle + 4.0 * 2.0 * kBf16Unit / std::sqrt(double(shape.head_dim)));
      const double scale = Largest(head) / 448.0;
      int largest = 0;
      for (size_t d = 0; d < head.size(); ++d) {
        const uint8_t code = queries[tick].codes[h * head.size() + d];
        EXPECT_NEAR(E4m3Value(code) * scale, head[d],
                    kE4m3Unit * std::fabs(head[d]) + scale * 0x1p-10 + 1.1 * slack)
            << "tick " << tick << " head " << h << " value " << d;
        largest = std::max(largest, code & 0x7F);
      }
      EXPECT_EQ(largest, 0x7E) << "a scale of its own a head";  // 448
      EXPECT_NEAR(queries[tick].head_weights[h], expected.head_weights[h] * scale,
                  std::fabs(expected.head_weights[h]) * (slack / 448.0) + 1e-6 * scale * 10.0);
    }
  }
}

// Most of a query's codes must be the reference's to the bit, not only near: the bound above is
// that of a worst case.
TEST_P(WholeForwardTest, NearlyAllCodesAreExact) {
  const IndexerShape shape = GetParam();
  const Case c = MakeCase(shape, {9, 4097});
  const std::vector<IndexerQuery> queries = MakeQueries(c.weights, c.hidden, c.positions);
  const std::vector<double> magnitudes = E4m3Magnitudes();
  int64_t same = 0, all = 0;
  for (size_t tick = 0; tick < 2; ++tick) {
    const ReferenceQuery expected = ReferenceOf(c, tick);
    for (size_t h = 0; h < size_t(shape.heads); ++h) {
      const double scale = Largest(expected.heads[h]) / 448.0;
      for (size_t d = 0; d < size_t(shape.head_dim); ++d) {
        const double scaled = expected.heads[h][d] / scale;
        const double got = E4m3Value(queries[tick].codes[h * size_t(shape.head_dim) + d]);
        double nearest = 1e9;
        for (const double m : magnitudes) {
          if (std::fabs(m - std::fabs(scaled)) < std::fabs(nearest - std::fabs(scaled))) {
            nearest = m;
          }
        }
        same += got == std::copysign(nearest, scaled);
        ++all;
      }
    }
  }
  EXPECT_GE(double(same), 0.97 * double(all)) << same << " of " << all;
}

TEST_P(WholeForwardTest, ScoresOfKeys) {
  const IndexerShape shape = GetParam();
  const Case c = MakeCase(shape, {5000});
  const IndexerQuery query = MakeQueries(c.weights, c.hidden, c.positions)[0];
  Rng rng(7);
  constexpr int kKeys = KeyTile::kKeysMax + 6;
  const auto dim = size_t(shape.head_dim), row_bytes = dim + kKeyScaleBytes;
  std::vector<uint8_t> keys(kKeys * row_bytes);
  for (size_t key = 0; key < kKeys; ++key) {
    uint8_t* row = keys.data() + key * row_bytes;
    for (size_t d = 0; d < dim; ++d)
      row[d] = uint8_t(rng.NextBelow(0x70) | (rng.NextBelow(2) << 7));
    const auto scale = float(0.01 * rng.NextDouble());
    std::memcpy(row + dim, &scale, sizeof scale);
  }
  KeyTile tile(shape.head_dim);
  std::vector<float> logits(KeyTile::kKeysMax);
  for (size_t first = 0; first < kKeys; first += KeyTile::kKeysMax) {
    const size_t count = std::min<size_t>(KeyTile::kKeysMax, kKeys - first);
    ASSERT_EQ(tile.Load(std::span(keys).subspan(first * row_bytes, count * row_bytes), int(count)),
              -1);
    tile.Score(query, 0.25f, logits);
    for (size_t key = 0; key < count; ++key) {
      const uint8_t* row = keys.data() + (first + key) * row_bytes;
      float scale;
      std::memcpy(&scale, row + dim, sizeof scale);
      double logit = 0.0, magnitude = 0.0;
      for (size_t h = 0; h < size_t(shape.heads); ++h) {
        double dot = 0.0, of_head = 0.0;
        for (size_t d = 0; d < dim; ++d) {
          const double term = E4m3Value(query.codes[h * dim + d]) * E4m3Value(row[d]);
          dot += term;
          of_head += std::fabs(term);
        }
        logit += double(query.head_weights[h]) * std::max(dot, 0.0);
        magnitude += std::fabs(double(query.head_weights[h])) * of_head;
      }
      const double bound = (shape.head_dim + shape.heads + 4) * kFloatUnit * magnitude * scale;
      EXPECT_NEAR(logits[key], logit * scale + 0.25, bound + 2 * kFloatUnit);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, WholeForwardTest,
                         ::testing::Values(IndexerShape{50, 24, 5, 32},
                                           IndexerShape{256, 64, 4, 128},
                                           IndexerShape{16, 4, 1, 4}));

TEST(IndexerForwardTest, BadKeys) {
  std::vector<uint8_t> keys(3 * 8, 0x3A);
  const auto set_scale = [&](size_t key, float scale) {
    std::memcpy(keys.data() + key * 8 + 4, &scale, sizeof scale);
  };
  for (size_t key = 0; key < 3; ++key) set_scale(key, 1.0f);
  KeyTile tile(4);
  EXPECT_EQ(tile.Load(keys, 3), -1);
  for (const float bad : {-1.0f, std::numeric_limits<float>::infinity(), std::nanf("")}) {
    set_scale(1, bad);
    EXPECT_EQ(tile.Load(keys, 3), 1) << bad;
  }
  set_scale(1, 0.0f);
  EXPECT_EQ(tile.Load(keys, 3), -1);
  for (const uint8_t nan : {0x7F, 0xFF}) {
    keys[2 * 8 + 3] = nan;
    EXPECT_EQ(tile.Load(keys, 3), 2);
  }
}

TEST(IndexerForwardTest, ScoreCodes) {
  EXPECT_EQ(ScoreCode(0.0f), 128);
  EXPECT_EQ(ScoreCode(std::nanf("")), 0);
  EXPECT_EQ(ScoreCode(-std::numeric_limits<float>::infinity()), 0);
  EXPECT_EQ(ScoreCode(std::numeric_limits<float>::infinity()), 255);
  EXPECT_EQ(ScoreCode(std::nextafter(0.0f, -1.0f)), 128);  // 1/2 to the last bit of a double
  EXPECT_EQ(ScoreCode(-1e-6f), 127);
  for (float logit = -20.0f; logit < 20.0f; logit += 0.0137f) {
    const double scaled = 256.0 / (1.0 + std::exp(-double(logit)));
    EXPECT_EQ(ScoreCode(logit), uint8_t(std::min(255.0, std::floor(scaled)))) << logit;
  }
}

}  // namespace
}  // namespace tierscope
