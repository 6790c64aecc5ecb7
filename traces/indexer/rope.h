// Rotary position embedding of the memory indexer's queries: YaRN frequencies, pairs of neighbours,
// the last half of a head (64 of 128 dims).
//
// Source: FlashMemory, training/utils.py (precompute_freqs_cis, apply_rope) and
// sglang/.../retriever_hook_impl.py (_apply_rope, called on bf16). The keys of a dump carry their
// own rotation; nothing here touches them.
#ifndef TIERSCOPE_TRACES_INDEXER_ROPE_H_
#define TIERSCOPE_TRACES_INDEXER_ROPE_H_

#include <cstdint>
#include <span>
#include <vector>

namespace tierscope {

// Positions that angles are computed for: those of 64 M tokens.
inline constexpr int64_t kPositionTokensMax = int64_t{1} << 26;

// V4's compressed layers [S].
struct YarnParameters {
  double base = 160000.0;
  double factor = 16.0;
  double original_tokens = 65536.0;
  double beta_fast = 32.0;  // turns within original_tokens; faster dims keep their frequency
  double beta_slow = 1.0;   // slower dims turn `factor` times as slowly; linear in between
};

// Radians a token of each pair, [dims / 2]. Precondition: dims is even and positive.
//   f_i = base^(-2i / dims);  r_i = (i - low) / max(high - low, 1) held to [0, 1];
//   f_i (1 - r_i) + f_i / factor * r_i
// where low and high are floor and ceil of dims * ln(original_tokens / (2 pi beta)) / (2 ln base)
// for the fast and the slow beta, high at most dims / 2 - 1.
std::vector<double> YarnFrequencies(int dims, const YarnParameters& parameters);

// Sine and cosine of every pair at a position. The angle is rounded to float from float
// frequencies, as the source's table is: at 500,000 tokens this moves fast pairs by up to 0.04
// radians, and the training saw these angles.
class Rotation {
 public:
  // Precondition: 0 <= position <= kPositionTokensMax.
  Rotation(std::span<const double> frequencies, int64_t position);

  // Turns the last 2 * pairs values of `head`, from bf16 to bf16, as the deployed indexer does.
  void RotateBf16(std::span<float> head) const;
  // The same without rounding; Invert turns back. For training.
  void Rotate(std::span<double> head) const;
  void Invert(std::span<double> head) const;

 private:
  void Turn(double direction, std::span<double> head) const;

  std::vector<float> sin_, cos_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_INDEXER_ROPE_H_
