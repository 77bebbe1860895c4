// Tables for people: columns as wide as their widest cell, two spaces between, headings in capitals.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

namespace backstay::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
  /// A row has one cell for each heading; an empty cell shows as "-".
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  /// The heading line and one line a row; `nothing` and a line end instead if there is no row.
  [[nodiscard]] std::string render(const std::string& nothing) const;

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
};

/// Name and value, one a line, values aligned: for one object.
std::string render_pairs(const std::vector<std::pair<std::string, std::string>>& pairs);

/// How many columns a UTF-8 text takes; every code point counts as one.
std::size_t display_width(std::string_view text);

}  // namespace backstay::cli
