#include "http/multipart.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::http {
namespace {

constexpr std::size_t kLongestBoundary = 70;
constexpr std::size_t kLongestHead = 8 * 1024;
constexpr std::size_t kLongestField = 4 * 1024;
constexpr std::size_t kMostFields = 16;

[[noreturn]] void refuse(const std::string& why) {
  throw core::Error(core::Code::kInvalidArgument, "the multipart/form-data body " + why);
}

/// The value of a parameter such as name="x" in a header field.
std::optional<std::string> parameter(std::string_view field, std::string_view wanted) {
  for (std::size_t at = field.find(';'); at < field.size();) {
    const auto equals = field.find('=', at);
    if (equals == std::string_view::npos) return std::nullopt;
    const auto name = core::to_lower(core::trim(field.substr(at + 1, equals - at - 1)));
    std::string value;
    std::size_t end = equals + 1;
    if (field.substr(end).starts_with('"')) {
      for (++end; end < field.size() && field[end] != '"'; ++end) {
        if (field[end] == '\\' && end + 1 < field.size() && (field[end + 1] == '"' || field[end + 1] == '\\')) ++end;
        value += field[end];
      }
      end = std::min(field.find(';', end), field.size());
    } else {
      end = std::min(field.find(';', end), field.size());
      value = core::trim(field.substr(equals + 1, end - equals - 1));
    }
    if (name == wanted) return value;
    at = end;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> multipart_boundary(std::string_view content_type) {
  const auto type = core::to_lower(core::trim(content_type.substr(0, content_type.find(';'))));
  if (type != "multipart/form-data") return std::nullopt;
  auto boundary = parameter(content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > kLongestBoundary ||
      boundary->find_first_of("\r\n") != std::string::npos) {
    refuse("has no usable boundary in its Content-Type");
  }
  return boundary;
}

MultipartReader::MultipartReader(std::string boundary, Sink sink)
    : delimiter_("\r\n--" + std::move(boundary)), sink_(std::move(sink)), input_("\r\n") {}

void MultipartReader::write(std::string_view bytes) {
  input_.append(bytes);
  while (step()) {
  }
}

void MultipartReader::finish() {
  if (stage_ != Stage::kEnd) refuse("ends in the middle");
  if (!had_file_) refuse("has no file: a part with a filename");
}

bool MultipartReader::step() {
  switch (stage_) {
    case Stage::kPreamble: return read_preamble();
    case Stage::kHead: return read_head();
    case Stage::kContent: return read_content();
    case Stage::kAfterDelimiter: return read_after_delimiter();
    case Stage::kEnd: input_.clear(); return false;
  }
  return false;
}

bool MultipartReader::read_preamble() {
  const auto at = input_.find(delimiter_);
  if (at == std::string::npos) {
    if (input_.size() > kLongestHead) refuse("does not begin with its boundary");
    return false;
  }
  input_.erase(0, at + delimiter_.size());
  stage_ = Stage::kAfterDelimiter;
  return true;
}

bool MultipartReader::read_after_delimiter() {
  if (input_.size() < 2) return false;
  if (input_.starts_with("--")) {
    stage_ = Stage::kEnd;
    return true;
  }
  const auto end = input_.find("\r\n");
  if (end == std::string::npos) {
    if (input_.size() > kLongestHead) refuse("has a boundary that does not end");
    return false;
  }
  input_.erase(0, end);  // the head's own search needs the line break
  stage_ = Stage::kHead;
  return true;
}

bool MultipartReader::read_head() {
  const auto end = input_.find("\r\n\r\n");
  if (end > kLongestHead && input_.size() > kLongestHead) refuse("has a part with too long a head");
  if (end == std::string::npos) return false;
  begin_part(std::string_view(input_).substr(0, end));
  input_.erase(0, end + 4);
  // A part may be empty: its delimiter needs the line break that ended the head.
  input_.insert(0, "\r\n");
  stage_ = Stage::kContent;
  fresh_ = true;
  return true;
}

void MultipartReader::begin_part(std::string_view head) {
  std::optional<std::string> name;
  std::optional<std::string> file;
  for (const std::string& line : core::split(head, '\n')) {
    const auto field = core::trim(line);
    if (!core::to_lower(field).starts_with("content-disposition:")) continue;
    name = parameter(field, "name");
    file = parameter(field, "filename");
  }
  if (!name) refuse("has a part without a name");
  in_file_ = file.has_value();
  name_ = *name;
  if (in_file_ && had_file_) refuse("has more than one file");
  had_file_ = had_file_ || in_file_;
  if (in_file_) return;
  if (fields_.size() == kMostFields) refuse("has too many fields");
  fields_[name_].clear();
}

void MultipartReader::pass_on(std::string_view content) {
  if (content.empty()) return;
  if (in_file_) return sink_(content);
  std::string& field = fields_[name_];
  if (field.size() + content.size() > kLongestField) refuse(fmt::format("has too long a field '{}'", name_));
  field.append(content);
}

bool MultipartReader::read_content() {
  const auto at = input_.find(delimiter_);
  const std::size_t mark = fresh_ ? 2 : 0;
  if (at == std::string::npos) {
    // The delimiter may have begun.
    if (input_.size() <= delimiter_.size() + mark) return false;
    const std::size_t sure = input_.size() - delimiter_.size();
    pass_on(std::string_view(input_).substr(mark, sure - mark));
    input_.erase(0, sure);
    fresh_ = false;
    return false;
  }
  if (at >= mark) pass_on(std::string_view(input_).substr(mark, at - mark));
  fresh_ = false;
  input_.erase(0, at + delimiter_.size());
  stage_ = Stage::kAfterDelimiter;
  return true;
}

}  // namespace backstay::http
