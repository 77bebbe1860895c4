// An object sent to S3 in parts.
#pragma once

#include <string>
#include <vector>

#include "blob/s3_client.h"
#include "blob/store.h"

namespace backstay::blob {

/// Becomes a multipart upload once there is more than one part; before, it is a single PUT at finish.
class S3Upload final : public Upload {
 public:
  S3Upload(S3Client& client, std::string full_key, std::uint64_t part_size);
  S3Upload(const S3Upload&) = delete;
  S3Upload& operator=(const S3Upload&) = delete;
  ~S3Upload() override;

  /// All of it, from where it lies; nothing else comes before or after.
  void send_whole(core::ByteSpan content);
  void append(core::ByteSpan bytes) override;
  void finish() override;

 private:
  void send_part(core::ByteSpan part);
  void complete();
  bool completed_earlier();

  S3Client& client_;
  const std::string key_;
  const std::uint64_t part_size_;
  core::Bytes pending_;
  std::uint64_t size_ = 0;  // of all parts sent
  std::string upload_id_;   // empty before the first part and after the end
  std::vector<std::string> etags_;
  bool complete_tried_ = false;
};

}  // namespace backstay::blob
