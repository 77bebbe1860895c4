// What a dump's files hold, so that two dumps can be compared: one from the store, and one of what it became.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "os/process.h"
#include "postgres/dump_contents.h"
#include "postgres/dump_programs.h"

namespace backstay::backup {

/// The rows of one table, whatever order they and their columns are in.
struct DumpedRows {
  std::uint64_t rows = 0;
  std::uint64_t sum = 0;
  friend bool operator==(const DumpedRows&, const DumpedRows&) = default;
};

/// Reads rows as COPY writes them: a line each, which tabs divide, and `\.` behind the last one. For one thread.
class RowReader {
 public:
  void add(core::ByteSpan bytes);
  /// Of all that was added; a line without an end, as a large object may have, counts as one.
  DumpedRows finish();

 private:
  void end_field();
  void end_row();

  DumpedRows rows_ = {};
  std::uint64_t field_ = kEmpty;
  std::uint64_t row_ = 0;
  std::string last_ = {};  // what the line begins with: no more than tells the end
  bool ended_ = false;
  static constexpr std::uint64_t kEmpty = 0xcbf29ce484222325;
};

struct DumpContent {
  std::vector<postgres::DumpEntry> entries = {};
  /// By the name of the file; those of large objects, too.
  std::map<std::string, DumpedRows> data = {};
};

/// Reads the dump in task.directory, which is whole. `read` is called now and then, with how many bytes more were read.
/// Throws what postgres::whole_contents throws, cancelled on a stop, and what `read` throws.
DumpContent read_dump_content(os::ProcessRunner& processes, const postgres::DumpTask& task,
                              const std::function<void(std::uint64_t)>& read, const std::stop_token& stop);

struct DumpComparison {
  std::uint64_t entries = 0;
  std::uint64_t tables = 0;
  std::uint64_t rows_wanted = 0;
  std::uint64_t rows_found = 0;
  /// What `found` lacks, each naming its object.
  std::vector<std::string> problems = {};
};

/// True to what `wanted` has: all of its entries, and the same rows in each table. `owners`: see match_entries.
/// `same_text`: equal values are equal text in both; else only rows are counted.
DumpComparison compare_dumps(const DumpContent& wanted, const DumpContent& found,
                             const std::vector<std::string>& owners, bool same_text);

}  // namespace backstay::backup
