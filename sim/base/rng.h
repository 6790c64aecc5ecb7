// Seeded random numbers with the same values on every machine. xoshiro256** (Blackman and Vigna,
// 2018), seeded by SplitMix64. Owned by one thread; copying forks the stream.
#ifndef TIERSCOPE_SIM_BASE_RNG_H_
#define TIERSCOPE_SIM_BASE_RNG_H_

#include <array>
#include <cstdint>

namespace tierscope {

// One SplitMix64 output for `x`: a bijective mix, used to derive seeds.
constexpr uint64_t MixBits(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

class Rng {
 public:
  // Streams with different (seed, stream) pairs are independent for every purpose here.
  explicit Rng(uint64_t seed, uint64_t stream = 0) {
    uint64_t x = MixBits(seed) ^ MixBits(~stream);
    for (uint64_t& word : state_) word = x = MixBits(x);
  }

  uint64_t NextUint64() {
    const uint64_t result = Rotate(state_[1] * 5, 7) * 9;
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = Rotate(state_[3], 45);
    return result;
  }

  // Uniform in [0, 1), 53 bits.
  double NextDouble() { return static_cast<double>(NextUint64() >> 11) * 0x1.0p-53; }

  // Uniform in [0, bound), bound > 0. Lemire's multiply; bias below 2^-32 for bounds below 2^32.
  uint64_t NextBelow(uint64_t bound) {
    return static_cast<uint64_t>(static_cast<unsigned __int128>(NextUint64()) * bound >> 64);
  }

  double NextNormal();             // mean 0, variance 1 (polar method)
  double NextExponential();        // mean 1
  double NextGamma(double shape);  // mean `shape`, shape > 0 (Marsaglia and Tsang, 2000)
  double NextLogNormal(double mu, double sigma);
  int64_t NextGeometric(double p);  // failures before a success, 0 < p <= 1

 private:
  static constexpr uint64_t Rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  std::array<uint64_t, 4> state_;
};

}  // namespace tierscope

#endif  // TIERSCOPE_SIM_BASE_RNG_H_
