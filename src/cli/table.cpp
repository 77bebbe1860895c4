#include "cli/table.h"

#include <algorithm>
#include <string_view>

namespace backstay::cli {
namespace {

// A cell must not break its line or reach the terminal's control sequences: it may hold text of other people.
std::string cleaned(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  return out.empty() ? "-" : out;
}

std::string line_of(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += "  ";
    line += cells[i];
    if (i + 1 < cells.size()) line += std::string(widths[i] - display_width(cells[i]), ' ');
  }
  return line + "\n";
}

}  // namespace

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string Table::render(const std::string& nothing) const {
  if (rows_.empty()) return nothing + "\n";
  std::vector<std::vector<std::string>> lines{headings_};
  for (const auto& row : rows_) {
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < headings_.size(); ++i) cells.push_back(cleaned(i < row.size() ? row[i] : ""));
    lines.push_back(std::move(cells));
  }
  std::vector<std::size_t> widths(headings_.size());
  for (const auto& cells : lines) {
    for (std::size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], display_width(cells[i]));
  }
  std::string out;
  for (const auto& cells : lines) out += line_of(cells, widths);
  return out;
}

std::string render_pairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::size_t width = 0;
  for (const auto& [name, value] : pairs) width = std::max(width, display_width(name));
  std::string out;
  for (const auto& [name, value] : pairs) {
    out += name + std::string(width + 2 - display_width(name), ' ') + cleaned(value) + "\n";
  }
  return out;
}

}  // namespace backstay::cli
