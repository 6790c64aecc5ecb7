// A stand-in for the CUDA runtime over the SIMT machine's memory: streams, events, graphs, pinned
// memory, batched copies. An op on a stream of its own is queued and runs when the stream is waited
// for, so that a caller who does not wait reads what is not there yet; copies of a batch run in a
// random order; sources in pinned memory are read when the copy runs, pageable ones when it is
// submitted, as CUDA does. The null stream runs at once. Evidence of logic, never of speed: an
// event's time is the host's clock when the op ran.
//
// One lock for everything: threads may call as they may call CUDA.
#ifndef TIERSCOPE_TESTS_TESTING_SIMT_RUNTIME_H_
#define TIERSCOPE_TESTS_TESTING_SIMT_RUNTIME_H_

#include <cstddef>
#include <cstdint>
#include <functional>

struct CUstream_st;

namespace tierscope::simt {

// What a test may make go wrong, and how large the machine is.
struct RuntimeOptions {
  bool has_driver = true;
  bool has_device = true;
  int64_t device_bytes = int64_t{48} << 20;
  int64_t pinned_bytes = int64_t{48} << 20;
  // The so manieth kernel, copy or fill to run from here fails and the context with it; -1: none.
  int64_t ops_until_fault = -1;
  // The so manieth call from here that may have to find memory (allocations, launches, copies,
  // events, streams, graphs) answers that there is none, does nothing, and leaves the context as it
  // was; a capture that it belongs to is lost. -1: none.
  int64_t calls_until_no_memory = -1;
  // Ops run at random moments before somebody waits, not only then.
  bool eager_at_random = true;
};
RuntimeOptions& TheRuntime();
// Options as at the start, and a new context. Precondition: nothing is allocated.
void ResetRuntime();
// The context as it was before a launch was abandoned: for tests of kernels that are wrong.
void RecoverContext();

// What is there now, and what happened since ResetRuntime.
struct RuntimeCounts {
  int64_t allocations = 0;  // device and pinned
  int64_t streams = 0;
  int64_t events = 0;
  int64_t graphs = 0;  // and their executables
  int64_t ops = 0;     // run
  int64_t calls = 0;   // that may have to find memory
  int64_t batches = 0;
  int64_t graphs_made = 0;
  int64_t graph_launches = 0;
};
RuntimeCounts CountRuntime();

enum class OpKind { kKernel, kCopy, kFill, kOther };
// Queues an op of the host's own, for stand-ins of libraries. False from `run`: it failed.
// Returns a cudaError_t.
int SubmitOp(CUstream_st* stream, OpKind kind, size_t byte_count, std::function<bool()> run);

// Told of every op: when it was submitted, by the thread that did, and when it ran.
class OpObserver {
 public:
  virtual ~OpObserver() = default;
  virtual void OnSubmit(uint32_t correlation) = 0;
  virtual void OnRun(OpKind kind, uint32_t correlation, int64_t begin_ns, int64_t end_ns,
                     size_t byte_count) = 0;
};
void ObserveOps(OpObserver* observer);

}  // namespace tierscope::simt

#endif  // TIERSCOPE_TESTS_TESTING_SIMT_RUNTIME_H_
