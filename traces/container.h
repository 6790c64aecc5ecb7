// A file of TraceRecord messages: zstd frames with checksums, an index at the end
// (traces/container_format.h has the bytes; `zstd -dc` opens it). Streaming both ways: memory is a
// frame of about 1 MiB, or the largest record, plus 40 bytes of index per frame.
//
// A damaged file is never read as if it were whole: Open checks head and index, Next each frame
// before its first record. `tierscope trace verify FILE --recover OUT` (traces/container_verify.h)
// keeps what is undamaged. One owner, one thread.
#ifndef TIERSCOPE_TRACES_CONTAINER_H_
#define TIERSCOPE_TRACES_CONTAINER_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "sim/base/digest.h"
#include "traces/container_format.h"
#include "traces/trace.pb.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace tierscope {

class ContainerWriter {
 public:
  // Creates a temporary file beside `path`; Finish renames it to `path`, replacing what is there.
  static absl::StatusOr<std::unique_ptr<ContainerWriter>> Open(const std::string& path);
  // Creates `temporary_path`, which stays when the process dies; Finish renames it to `path`.
  static absl::StatusOr<std::unique_ptr<ContainerWriter>> OpenAt(const std::string& path,
                                                                 const std::string& temporary_path);
  ~ContainerWriter();  // removes the temporary file unless Finish succeeded
  ContainerWriter(const ContainerWriter&) = delete;
  ContainerWriter& operator=(const ContainerWriter&) = delete;

  // Error: a record above 64 MiB, or the disk. After an error every call returns it again.
  absl::Status Append(const TraceRecord& record);
  // The same for a record that is serialized already.
  absl::Status AppendBytes(absl::string_view record);
  // Ends the frame, so that what was appended is in the file and not in this process.
  absl::Status Flush();
  // Writes the index and renames. Nothing may be appended afterwards.
  absl::Status Finish();

  // Of the appended records, 16 hex digits; final once Finish has succeeded.
  std::string digest() const;
  int64_t record_count() const { return index_.record_count; }
  int64_t file_bytes() const { return file_bytes_; }  // written so far

 private:
  ContainerWriter(std::string path, std::string temporary_path, std::FILE* file);
  absl::Status CheckRecordBytes(size_t record_bytes);
  absl::Status EndRecord(size_t record_begin);
  absl::Status FlushFrame();
  absl::Status Write(absl::string_view bytes);

  std::string path_;
  std::string temporary_path_;
  std::FILE* file_;  // null once finished
  ZSTD_CCtx_s* compressor_;
  std::string raw_;  // records of the open frame
  int64_t raw_records_ = 0;
  std::string compressed_;
  int64_t file_bytes_ = 0;
  container::Index index_;
  Digest content_digest_;
  absl::Status first_error_;
};

class ContainerReader {
 public:
  // Errors: no such file, not a regular file, empty, not a container, cut or damaged.
  static absl::StatusOr<std::unique_ptr<ContainerReader>> Open(const std::string& path);
  ~ContainerReader();
  ContainerReader(const ContainerReader&) = delete;
  ContainerReader& operator=(const ContainerReader&) = delete;

  // Reads the next record into `record`; false at the end. Records before a damaged frame are read;
  // then the error names file, bytes and records, and every later call returns it again.
  absl::StatusOr<bool> Next(TraceRecord* record);
  // The same without parsing: the record's serialized bytes, valid until the next call.
  absl::StatusOr<bool> NextBytes(absl::string_view* bytes);

  // Reads all frames against their digests without decompressing them: whether the records are
  // those of digest(). Reading goes on where it was. Error: as Next.
  absl::Status CheckFrames();

  // Of all records, known from Open on: the trace's identity in results. 16 hex digits.
  std::string digest() const;
  int64_t record_count() const { return index_.record_count; }
  // Records read so far; the record read last is number records_read() - 1.
  int64_t records_read() const { return records_read_; }
  const std::string& path() const { return path_; }
  const container::Index& index() const { return index_; }

 private:
  ContainerReader(std::string path, std::FILE* file, container::Index index);
  absl::StatusOr<bool> ReadRecord(absl::string_view* bytes);
  absl::Status ReadFrame(const container::FrameInfo& frame);
  absl::Status ReadCompressed(const container::FrameInfo& frame);
  absl::Status NotARecord() const;
  absl::Status Damaged(const container::FrameInfo& frame, absl::string_view what) const;

  std::string path_;
  std::FILE* file_;
  ZSTD_DCtx_s* decompressor_;
  container::Index index_;
  size_t next_frame_ = 0;
  int64_t records_read_ = 0;
  int64_t frame_records_left_ = 0;
  std::string compressed_;
  std::vector<char> raw_;
  container::RecordCursor cursor_;
  absl::Status first_error_;
};

// Whether the file begins like a container (for readers that tell formats apart by content). False
// for a file that is missing or short.
bool LooksLikeContainer(const std::string& path);

}  // namespace tierscope

#endif  // TIERSCOPE_TRACES_CONTAINER_H_
