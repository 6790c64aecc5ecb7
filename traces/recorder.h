/* Records the selections and scores of a serving engine into a tierscope trace. A C interface, for
 * C, C++ and Python's ctypes (traces/python). Errors are text; nothing here throws, exits or
 * prints.
 *
 * A call copies what it is given and returns; a thread of the recorder's own sorts, encodes and
 * writes. All functions may be called from any thread. Steps of one request must come in order, as
 * they do when one thread runs its decode loop.
 *
 * Memory stays under `memory_bytes_max`. Where the writer falls behind, a step is dropped whole:
 * the call returns TIERSCOPE_DROPPED, the count is written into the trace, and the request goes on
 * in a new piece behind the gap.
 *
 * A request is written in pieces of `segment_steps`, each a whole profile (ProfileHeader.recording
 * says of which request and from which step). A piece goes to the file as soon as it is complete,
 * so after a crash `tierscope trace import FILE.recording --out OUT` reads every piece that was;
 * the same command joins the pieces of a request. While recording, the file is called
 * FILE.recording.
 *
 * Cost to the caller of a step of 21 layers x 512 entries: a copy of 43 KB and a lock
 * (tests/bench/recorder_bench.cc). */
#ifndef TIERSCOPE_TRACES_RECORDER_H_
#define TIERSCOPE_TRACES_RECORDER_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TIERSCOPE_RECORDER_VERSION 1
#define TIERSCOPE_RECORDER_API __attribute__((visibility("default")))

enum tierscope_status {
  TIERSCOPE_OK = 0,
  TIERSCOPE_DROPPED = 1, /* no memory left: the step is not recorded, and counted */
  TIERSCOPE_REFUSED = 2, /* a wrong argument or order: not recorded; tierscope_recorder_error */
  TIERSCOPE_FAILED = 3   /* the disk: nothing is recorded any more; tierscope_recorder_error */
};

typedef struct tierscope_recorder tierscope_recorder;

typedef struct tierscope_recorder_options {
  uint32_t version;          /* TIERSCOPE_RECORDER_VERSION */
  int32_t tokens_per_entry;  /* 4 in V4, 1 in DSA models */
  int32_t layer_count;       /* layers that select */
  int32_t top_k;             /* entries a layer takes */
  int32_t tick_stride_steps; /* a tick belongs to every multiple of it; whole strides are kept */
  int32_t segment_steps;     /* a multiple of tick_stride_steps; 0 = the least from 64 on */
  int32_t saw_full_history;  /* 1: the indexer chose from every entry; 0: from resident ones */
  int32_t score_floor_code; /* scores below floor_code / 256 are not passed; -1: no scores at all */
  const int32_t* target_layers; /* CSA indices that the memory indexer scores; may be null */
  int32_t target_layer_count;
  uint64_t memory_bytes_max; /* 0 = 256 MiB */
  const char* model;         /* e.g. "v4_flash" */
  const char* tool;          /* the engine and its version */
} tierscope_recorder_options;

typedef struct tierscope_recorder_counts {
  int64_t recorded_steps;
  int64_t dropped_steps;
  int64_t refused_steps;
  int64_t written_bytes;
} tierscope_recorder_counts;

/* Opens `path`.recording for writing; close renames it to `path`. On error null, and the reason in
 * `error` (cut to `error_bytes`, always ended). */
TIERSCOPE_RECORDER_API tierscope_recorder* tierscope_recorder_open(
    const char* path, const tierscope_recorder_options* options, char* error, size_t error_bytes);

/* A request starts to decode behind `prompt_tokens`. `request` is the caller's number for it and
 * may be used again once the request has ended. */
TIERSCOPE_RECORDER_API int tierscope_recorder_begin(tierscope_recorder* recorder, uint64_t request,
                                                    int64_t prompt_tokens);

/* One decode step of a request: entries[layer_count][top_k], unused slots -1 at the end of a layer,
 * in any order. `logits`, of the same shape, may be null: the attention logits of the entries, from
 * which golden labels are made. Step 0 is the first after the prompt. */
TIERSCOPE_RECORDER_API int tierscope_recorder_step(tierscope_recorder* recorder, uint64_t request,
                                                   int32_t step, const int32_t* entries,
                                                   const float* logits);

/* The memory indexer's scores at a step, after the call of that step, at every multiple of the tick
 * stride: entries in rising order and code = min(255, floor(256 * score)), none below the floor.
 * `target_layer` is a CSA index, or -1 for the maximum over them. */
TIERSCOPE_RECORDER_API int tierscope_recorder_tick(tierscope_recorder* recorder, uint64_t request,
                                                   int32_t step, int32_t target_layer,
                                                   const uint32_t* entries, const uint8_t* codes,
                                                   int32_t count);

/* The request is over. What does not fill a tick stride is left out, and counted. */
TIERSCOPE_RECORDER_API int tierscope_recorder_end(tierscope_recorder* recorder, uint64_t request);

TIERSCOPE_RECORDER_API void tierscope_recorder_get_counts(tierscope_recorder* recorder,
                                                          tierscope_recorder_counts* counts);

/* The first error, "" when there was none; valid until the recorder is closed. */
TIERSCOPE_RECORDER_API const char* tierscope_recorder_error(tierscope_recorder* recorder);

/* Ends all requests, writes what is queued and the index, renames the file, frees the recorder.
 * Returns TIERSCOPE_OK or TIERSCOPE_FAILED (with the reason in `error`, which may be null). */
TIERSCOPE_RECORDER_API int tierscope_recorder_close(tierscope_recorder* recorder, char* error,
                                                    size_t error_bytes);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* TIERSCOPE_TRACES_RECORDER_H_ */
