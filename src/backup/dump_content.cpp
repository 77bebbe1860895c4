#include "backup/dump_content.h"

#include <fcntl.h>

#include <fmt/format.h>

#include "core/error.h"
#include "os/file.h"
#include "os/untrusted_directory.h"

namespace backstay::backup {
namespace {

constexpr std::size_t kReadSize = 1U << 20;
constexpr std::string_view kEnd = "\\.";
constexpr std::string_view kLargeObject = "blob_";

/// So that sums of equal parts in other places differ.
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111eb;
  return value ^ (value >> 31U);
}

DumpedRows read_rows(const os::Descriptor& file, const std::function<void(std::uint64_t)>& read,
                     const std::stop_token& stop) {
  RowReader reader;
  core::Bytes buffer(kReadSize);
  for (std::uint64_t at = 0;;) {
    if (stop.stop_requested()) throw core::Error(core::Code::kCancelled, "the work was stopped");
    const std::size_t got = os::read_at(file.get(), at, buffer);
    reader.add(core::ByteSpan(buffer).first(got));
    at += got;
    if (read) read(got);
    if (got < buffer.size()) return reader.finish();
  }
}

std::string table_of(const postgres::DumpEntry& entry) {
  return entry.text.substr(std::string_view("TABLE DATA ").size());
}

class Comparison {
 public:
  Comparison(const DumpContent& wanted, const DumpContent& found, bool same_text)
      : wanted_(wanted), found_(found), same_text_(same_text) {}

  DumpComparison run(const std::vector<std::string>& owners) {
    const auto matches = postgres::match_entries(wanted_.entries, found_.entries, owners);
    for (std::size_t i = 0; i < matches.size(); ++i) compare(wanted_.entries[i], matches[i]);
    compare_large_objects();
    // Rows that a partition's bounds send elsewhere are all there.
    if (same_text_ && sum_wanted_ == sum_found_) differing_.clear();
    auto& problems = result_.problems;
    problems.insert(problems.end(), differing_.begin(), differing_.end());
    return std::move(result_);
  }

 private:
  void compare(const postgres::DumpEntry& entry, int match) {
    ++result_.entries;
    if (match < 0) {
      result_.problems.push_back(fmt::format("{}: it is in the dump, and was not restored", entry.text));
    } else if (entry.has_data()) {
      compare_rows(entry, found_.entries[static_cast<std::size_t>(match)]);
    }
  }

  void compare_rows(const postgres::DumpEntry& entry, const postgres::DumpEntry& again) {
    const auto wanted = wanted_.data.find(entry.id + ".dat");
    const auto found = found_.data.find(again.id + ".dat");
    if (wanted == wanted_.data.end() || found == found_.data.end()) {
      result_.problems.push_back(fmt::format("table {}: the dump {} has no file of its rows", table_of(entry),
                                             wanted == wanted_.data.end() ? "in the store" : "of the copy"));
      return;
    }
    ++result_.tables;
    note(wanted->second, found->second);
    if (wanted->second.rows != found->second.rows) {
      differing_.push_back(fmt::format("table {}: the dump has {} rows, and the copy {}", table_of(entry),
                                       wanted->second.rows, found->second.rows));
    } else if (same_text_ && wanted->second != found->second) {
      differing_.push_back(fmt::format("table {}: rows of the copy are not those of the dump", table_of(entry)));
    }
  }

  void compare_large_objects() {
    for (const auto& [name, content] : wanted_.data) {
      if (!name.starts_with(kLargeObject)) continue;
      const auto found = found_.data.find(name);
      if (found != found_.data.end() && found->second == content) continue;
      result_.problems.push_back(fmt::format("large object {}: the copy {}", name.substr(kLargeObject.size()),
                                             found == found_.data.end() ? "does not have it" : "has another content"));
    }
  }

  void note(const DumpedRows& wanted, const DumpedRows& found) {
    result_.rows_wanted += wanted.rows;
    result_.rows_found += found.rows;
    sum_wanted_ += wanted.sum;
    sum_found_ += found.sum;
  }

  const DumpContent& wanted_;
  const DumpContent& found_;
  const bool same_text_;
  DumpComparison result_;
  std::vector<std::string> differing_;
  std::uint64_t sum_wanted_ = 0;
  std::uint64_t sum_found_ = 0;
};

}  // namespace

void RowReader::add(core::ByteSpan bytes) {
  constexpr std::uint64_t kPrime = 0x100000001b3;
  for (const std::byte byte : bytes) {
    const char c = static_cast<char>(byte);
    if (c == '\n') {
      end_row();
    } else if (c == '\t') {
      end_field();
    } else {
      field_ = (field_ ^ std::to_integer<std::uint64_t>(byte)) * kPrime;
    }
    if (c != '\n' && last_.size() <= kEnd.size()) last_ += c;
  }
}

DumpedRows RowReader::finish() {
  if (!last_.empty() || row_ != 0) end_row();
  return rows_;
}

void RowReader::end_field() {
  row_ += mix(field_);
  field_ = kEmpty;
}

void RowReader::end_row() {
  end_field();
  ended_ = ended_ || last_ == kEnd;
  rows_.rows += ended_ ? 0 : 1;
  rows_.sum += mix(row_);
  row_ = 0;
  last_.clear();
}

DumpContent read_dump_content(os::ProcessRunner& processes, const postgres::DumpTask& task,
                              const std::function<void(std::uint64_t)>& read, const std::stop_token& stop) {
  DumpContent content;
  content.entries =
      postgres::comparable_entries(postgres::whole_contents(processes.run(postgres::contents_command(task), stop)));
  const os::UntrustedDirectory files(task.directory);
  for (const auto& entry : files.list("")) {
    if (!entry.name.ends_with(".dat") || entry.name == "toc.dat") continue;
    content.data[entry.name] = read_rows(files.open(entry.name, O_RDONLY), read, stop);
  }
  return content;
}

DumpComparison compare_dumps(const DumpContent& wanted, const DumpContent& found,
                             const std::vector<std::string>& owners, bool same_text) {
  return Comparison(wanted, found, same_text).run(owners);
}

}  // namespace backstay::backup
