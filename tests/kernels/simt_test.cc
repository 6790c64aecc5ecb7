// The SIMT machine against small kernels, right ones and wrong ones. This source is compiled as the
// kernels are: with the hooks before each load and store.
#include "gtest/gtest.h"

#include "kernels/device.cuh"
#include "tests/kernels/kernel_case.h"
#include "tests/testing/simt_runtime.h"

namespace tierscope::testing {
namespace {

struct Job {
  int32_t* in;
  int32_t* out;
  int32_t n;
};

std::string RunKernel(void (*kernel)(Job), const Job& job, int blocks = 1, int threads = 64,
                      size_t shared_bytes = 4096) {
  const KernelStatus status = LaunchKernel(
      kernel,
      {dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)), shared_bytes},
      job, nullptr);
  std::string text = status.ok() ? "" : "abandoned: ";
  simt::RecoverContext();
  for (const std::string& line : simt::TakeViolations()) text += line + "\n";
  return text;
}

// Reverses n numbers of a block through shared memory.
void Reverse(const Job job) {
  auto* shared = &SharedAs<int32_t>();
  shared[threadIdx.x] = job.in[threadIdx.x];
  __syncthreads();
  job.out[threadIdx.x] = shared[job.n - 1 - static_cast<int>(threadIdx.x)];
}
void ReverseWithoutBarrier(const Job job) {
  auto* shared = &SharedAs<int32_t>();
  shared[threadIdx.x] = job.in[threadIdx.x];
  job.out[threadIdx.x] = shared[job.n - 1 - static_cast<int>(threadIdx.x)];
}
void OverwriteTooEarly(const Job job) {
  auto* shared = &SharedAs<int32_t>();
  shared[threadIdx.x] = job.in[threadIdx.x];
  __syncthreads();
  const int32_t value = shared[job.n - 1 - static_cast<int>(threadIdx.x)];
  shared[threadIdx.x] = value;  // another thread may still have to read it
  job.out[threadIdx.x] = value;
}
void ReadPastTheEnd(const Job job) { job.out[threadIdx.x] = job.in[threadIdx.x + 1]; }
void WritePastTheEnd(const Job job) { job.out[threadIdx.x + 1] = 0; }
void ReadNull(const Job job) { job.out[threadIdx.x] = *static_cast<int32_t*>(nullptr) + job.n; }
void ReadUnwritten(const Job job) { job.in[threadIdx.x] = job.out[threadIdx.x]; }
void ReadUnwrittenShared(const Job job) {
  job.out[threadIdx.x] = (&SharedAs<int32_t>())[threadIdx.x];
}
void PastShared(const Job job) { (&SharedAs<int32_t>())[1024 + job.n] = 1; }
void AllWriteOneWord(const Job job) { job.out[0] = static_cast<int32_t>(threadIdx.x); }
void Misaligned(const Job job) {
  *reinterpret_cast<uint4*>(job.out + 1 + job.n * 0) = make_uint4(0, 0, 0, 0);
}
void HalfOfBlockAtBarrier(const Job job) {
  if (static_cast<int>(threadIdx.x) < job.n / 2) __syncthreads();
}
void TwoBarriers(const Job job) {
  if (static_cast<int>(threadIdx.x) < job.n / 2) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
void HalfOfWarpShuffles(const Job job) {
  if (threadIdx.x % 32 < 16) job.out[threadIdx.x] = __shfl_xor_sync(kWholeWarp, 1, 1);
}
void ShuffleIsNoBarrier(const Job job) {
  auto* shared = &SharedAs<int32_t>();
  shared[threadIdx.x] = 1;
  __shfl_xor_sync(kWholeWarp, 1, 1);
  job.out[threadIdx.x] = shared[threadIdx.x ^ 1];
}
void WarpBarrierIsEnough(const Job job) {
  auto* shared = &SharedAs<int32_t>();
  shared[threadIdx.x] = job.in[threadIdx.x];
  __syncwarp();
  job.out[threadIdx.x] = shared[threadIdx.x ^ 1];
}
void WarpBarrierAcrossWarps(const Job job) {
  auto* shared = &SharedAs<int32_t>();
  shared[threadIdx.x] = job.in[threadIdx.x];
  __syncwarp();
  job.out[threadIdx.x] = shared[threadIdx.x ^ 32];
}
void BlocksTalk(const Job job) {
  if (blockIdx.x == 0) job.out[0] = 1;
  if (blockIdx.x == 1 && threadIdx.x == 0) job.in[0] = job.out[0];
}
void CountAtomically(const Job job) { atomicAdd(&job.in[0], 1); }
void CountWithoutAtomics(const Job job) { ++job.in[0]; }
void ForgetToWait(const Job job) {
  auto* shared = &SharedAs<int32_t>();
  simt::AsyncCopy(shared + threadIdx.x, job.in + threadIdx.x, 4, 0);
  simt::AsyncCommit();
  if (job.n == 0) simt::AsyncWait(0);
  job.out[threadIdx.x] = shared[threadIdx.x];
}

void CopyAsynchronously(const Job job) {
  auto* shared = &SharedAs<int32_t>();
  simt::AsyncCopy(shared + threadIdx.x, job.in + threadIdx.x, 4, 0);
  simt::AsyncCommit();
  simt::AsyncWait(0);
  __syncthreads();
  job.out[threadIdx.x] = shared[job.n - 1 - static_cast<int>(threadIdx.x)];
}
// Thread 0 brings the numbers in; the others wait for the bytes.
void CopyBehindMemoryBarrier(const Job job) {
  auto* shared = &SharedAs<uint64_t>();
  if (threadIdx.x == 0) simt::MemoryBarrierInit(shared, 1);
  __syncthreads();
  if (threadIdx.x == 0) {
    simt::MemoryBarrierArrive(shared, 256);
    simt::BulkCopy(shared + 2, job.in, 256, shared);
  }
  if (job.n == 64) simt::MemoryBarrierWait(shared, 0);
  job.out[threadIdx.x] = reinterpret_cast<int32_t*>(shared + 2)[63 - threadIdx.x];
}
void WaitForNothing(const Job job) {
  auto* shared = &SharedAs<uint64_t>();
  if (threadIdx.x == 0) simt::MemoryBarrierInit(shared, job.n);
  __syncthreads();
  simt::MemoryBarrierWait(shared, 0);
}
void MemoryBarrierTooEarly(const Job job) {
  auto* shared = &SharedAs<uint64_t>();
  if (threadIdx.x == 0) simt::MemoryBarrierInit(shared, job.n);
  simt::MemoryBarrierArrive(shared, 0);
}

class SimtTest : public ::testing::Test {
 protected:
  static constexpr int kThreads = 64;
  std::string Run(void (*kernel)(Job), int blocks = 1) { return RunKernel(kernel, job_, blocks); }

  std::vector<int32_t> Numbers() {
    std::vector<int32_t> numbers;
    for (int i = 0; i < kThreads; ++i) numbers.push_back(100 + i);
    return numbers;
  }
  // 60 B more than the kernels' 256, and no 16 B of slack behind.
  DeviceArray<int32_t> in_{Numbers()};
  DeviceArray<int32_t> out_{kThreads};
  Job job_{in_.data(), out_.data(), kThreads};
};

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(SimtTest, RunsRightKernels) {
  EXPECT_EQ(Run(Reverse), "");
  std::vector<int32_t> reversed = Numbers();
  std::reverse(reversed.begin(), reversed.end());
  EXPECT_EQ(out_.Download(), reversed);
  EXPECT_EQ(Run(CopyAsynchronously), "");
  EXPECT_EQ(out_.Download(), reversed);
  EXPECT_EQ(Run(CopyBehindMemoryBarrier), "");
  EXPECT_EQ(out_.Download(), reversed);
  EXPECT_EQ(Run(WarpBarrierIsEnough), "");
  EXPECT_EQ(Run(CountAtomically, 5), "");
  EXPECT_EQ(in_.Download()[0], 100 + 5 * kThreads);
}

TEST_F(SimtTest, FindsMissingBarriers) {
  EXPECT_NE(Run(ReverseWithoutBarrier), "");
  EXPECT_SAYS(Run(OverwriteTooEarly), "race");
  EXPECT_NE(Run(ShuffleIsNoBarrier), "");
  EXPECT_NE(Run(WarpBarrierAcrossWarps), "");
  EXPECT_SAYS(Run(AllWriteOneWord), "race");
  EXPECT_SAYS(Run(CountWithoutAtomics), "race");
  EXPECT_SAYS(Run(BlocksTalk, 2), "race");
}

TEST_F(SimtTest, FindsBadAddresses) {
  const int32_t past = kThreads + 4;  // DeviceArray leaves 16 B behind
  job_.in += 4;
  EXPECT_SAYS(Run(ReadPastTheEnd), "outside of any allocation");
  job_.out += past - kThreads;
  EXPECT_SAYS(Run(WritePastTheEnd), "outside of any allocation");
  EXPECT_SAYS(Run(ReadNull), "no device memory");
  EXPECT_SAYS(Run(PastShared), "outside of any allocation");
  EXPECT_SAYS(Run(Misaligned), "misaligned");
}

TEST_F(SimtTest, FindsUnwrittenBytes) {
  EXPECT_SAYS(Run(ReadUnwritten), "before anything wrote");
  EXPECT_SAYS(Run(ReadUnwrittenShared), "before anything wrote");
  EXPECT_SAYS(Run(ForgetToWait), "before anything wrote");
}

TEST_F(SimtTest, FindsThreadsThatNeverMeet) {
  EXPECT_SAYS(Run(HalfOfBlockAtBarrier), "wait for ever");
  EXPECT_SAYS(Run(TwoBarriers), "two different barriers");
  EXPECT_SAYS(Run(HalfOfWarpShuffles), "wait for ever");
}

TEST_F(SimtTest, FindsMisusedMemoryBarriers) {
  EXPECT_SAYS(Run(WaitForNothing), "waits for ever");
  EXPECT_SAYS(Run(MemoryBarrierTooEarly), "initialis");
  job_.n = 0;
  EXPECT_NE(Run(CopyBehindMemoryBarrier), "");
}

TEST_F(SimtTest, KnowsItsDevice) {
  simt::MachineOptions().capability = 75;
  EXPECT_SAYS(std::string(LaunchKernel(Reverse, {dim3(1), dim3(64), 4096}, job_, nullptr).message),
              "8.0 or above");
  simt::MachineOptions() = {};
  EXPECT_SAYS(
      std::string(LaunchKernel(Reverse, {dim3(1), dim3(64), 1 << 20}, job_, nullptr).message),
      "shared memory");
}

}  // namespace
}  // namespace tierscope::testing
