// multipart/form-data (RFC 7578) as it comes: one file, and a few short fields before or after it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace backstay::http {

/// The boundary that a Content-Type names; nothing if it is not multipart/form-data. Throws Error(invalid_argument) for
/// a missing or malformed boundary.
std::optional<std::string> multipart_boundary(std::string_view content_type);

/// One thread at a time. Throws Error(invalid_argument) for what is not well-formed, for a second file, and for fields
/// that are too many or too long.
class MultipartReader {
 public:
  /// The sink gets the file's content piece by piece.
  using Sink = std::function<void(std::string_view)>;
  MultipartReader(std::string boundary, Sink sink);

  void write(std::string_view bytes);
  /// That was all. Throws Error(invalid_argument) if the end is missing, or the file.
  void finish();

  /// The parts that are no file, by name.
  [[nodiscard]] const std::map<std::string, std::string, std::less<>>& fields() const { return fields_; }

 private:
  enum class Stage { kPreamble, kHead, kContent, kAfterDelimiter, kEnd };
  bool step();
  bool read_preamble();
  bool read_head();
  bool read_content();
  bool read_after_delimiter();
  void begin_part(std::string_view head);
  void pass_on(std::string_view content);

  const std::string delimiter_;
  Sink sink_;
  std::string input_;
  Stage stage_ = Stage::kPreamble;
  /// The line break before the content is none of it.
  bool fresh_ = false;
  bool in_file_ = false;
  bool had_file_ = false;
  std::string name_;
  std::map<std::string, std::string, std::less<>> fields_;
};

}  // namespace backstay::http
