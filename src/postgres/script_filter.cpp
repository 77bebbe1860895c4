#include "postgres/script_filter.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace backstay::postgres {
namespace {

/// A statement that is longer is none of those that are left out: those have a few words, and are refused.
constexpr std::size_t kLongestHeld = 64 * 1024;
/// Of dollar quotes' tags and of psql commands.
constexpr std::size_t kLongestWord = 4096;
constexpr std::size_t kCommentKept = 80;
constexpr std::size_t kHeadTokens = 4;
constexpr std::size_t kTailTokens = 5;
/// psql passes over it.
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool begins_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool goes_on_word(char c) { return begins_word(c) || is_digit(c) || c == '$'; }

/// The words whose statements may be left out or refused.
bool is_suspect(std::string_view word) {
  constexpr std::array kSuspects{"alter", "grant", "revoke", "comment", "set",      "reset", "create",
                                 "begin", "start", "commit", "end",     "rollback", "abort"};
  return std::ranges::find(kSuspects, word) != kSuspects.end();
}

/// Those among them that no program writes at length.
bool is_always_short(std::string_view word) {
  constexpr std::array kShort{"grant", "revoke", "set", "reset",    "begin",
                              "start", "commit", "end", "rollback", "abort"};
  return std::ranges::find(kShort, word) != kShort.end();
}

}  // namespace

void ScriptFilter::refuse(std::uint64_t line, const std::string& what, const std::string& hint) {
  throw core::Error(core::Code::kImportRefused, fmt::format("line {}: {}", line, what)).with_hint(hint);
}

void ScriptFilter::write(std::string_view bytes) {
  if (const auto zero = bytes.find('\0'); zero != std::string_view::npos) {
    const auto before = std::ranges::count(rest(), '\n') + std::ranges::count(bytes.substr(0, zero), '\n');
    refuse(line_ + static_cast<std::uint64_t>(before), "a byte of value 0, which no SQL has",
           "send an SQL dump as text, or one of pg_dump's archive formats");
  }
  input_.erase(0, at_);
  at_ = 0;
  input_.append(bytes);
  run();
}

void ScriptFilter::finish() {
  final_ = true;
  run();
  if (state_ == State::kLineComment) state_ = State::kSql;
  const std::string hint = "it is not whole: make or send it again";
  if (state_ == State::kCopyData || copy_follows_) {
    refuse(line_, fmt::format("the dump ends within the COPY data that begin in line {}", state_line_), hint);
  }
  if (state_ != State::kSql) {
    refuse(line_, fmt::format("the dump ends within a quote or a comment that begins in line {}", state_line_), hint);
  }
  if (in_statement_) {
    refuse(line_, fmt::format("the dump ends within the statement that begins in line {}", statement_line_),
           "it is not whole, or its last semicolon is missing");
  }
  if (from_pg_dump_ && !dump_complete_) refuse(line_, "the dump ends before pg_dump's closing words", hint);
}

void ScriptFilter::run() {
  if (!begun_) {
    if (!have(kByteOrderMark.size())) return;
    if (rest().starts_with(kByteOrderMark)) at_ += kByteOrderMark.size();
    begun_ = true;
  }
  while (at_ < input_.size() && step()) {
  }
}

bool ScriptFilter::step() {
  switch (state_) {
    case State::kSql: return step_sql();
    case State::kString: return step_quoted('\'', false);
    case State::kEscapeString: return step_quoted('\'', true);
    case State::kIdentifier: return step_quoted('"', false);
    case State::kDollar: return step_dollar();
    case State::kLineComment: return step_line_comment();
    case State::kComment: return step_comment();
    case State::kCopyData: return step_copy_data();
  }
  return false;
}

void ScriptFilter::put(std::string_view text) {
  if (text.empty()) return;
  if (!undecided_) return sink_(text);
  held_.append(text);
  if (held_.size() <= kLongestHeld) return;
  if (!head_.empty() && is_always_short(head_[0])) {
    refuse(statement_line_, fmt::format("a statement '{}' of more than 64 KiB", head_[0]),
           "take the comments out of it, or part it");
  }
  decide();
}

void ScriptFilter::decide() {
  undecided_ = false;
  sink_(held_);
  held_.clear();
}

void ScriptFilter::take(std::size_t count) {
  if (count == 0) return;
  const std::string_view text = rest().substr(0, count);
  line_ += static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
  line_start_ = text.ends_with('\n');
  at_ += text.size();
  put(text);
}

void ScriptFilter::drop(std::size_t count) {
  const auto lines = std::ranges::count(rest().substr(0, count), '\n');
  line_ += static_cast<std::uint64_t>(lines);
  line_start_ = count > 0 && input_[at_ + count - 1] == '\n';
  at_ += count;
  put(std::string(static_cast<std::size_t>(lines), '\n'));
}

bool ScriptFilter::step_sql() {
  const char c = rest().front();
  if (is_space(c)) {
    if (c == '\n' || c == '\r') {
      if (continuation_ == Continuation::kEnded) continuation_ = Continuation::kNewLine;
    }
    take(1);
    if (c == '\n' && copy_follows_) {
      copy_follows_ = false;
      state_ = State::kCopyData;
      state_line_ = line_;
    }
    return true;
  }
  if ((c == '-' || c == '/') && !have(2)) return false;
  state_line_ = line_;
  if (rest().starts_with("--")) {
    comment_.clear();
    state_ = State::kLineComment;
    return true;
  }
  if (copy_follows_) {
    refuse(line_, "more SQL on the line of a COPY … FROM stdin", "begin a new line after the data of the COPY");
  }
  if (rest().starts_with("/*")) {
    continuation_ = Continuation::kNone;
    comment_depth_ = 1;
    state_ = State::kComment;
    take(2);
    return true;
  }
  if (c == '\'' && continuation_ == Continuation::kNewLine) {
    continuation_ = Continuation::kNone;
    state_ = State::kEscapeString;
    take(1);
    return true;
  }
  continuation_ = Continuation::kNone;
  if (c == '\\') return psql_command();
  if (begins_word(c) || is_digit(c)) return begin_word();
  if (c == '$') return begin_dollar();
  add_token(std::string(1, c));
  if (c == '\'') state_ = State::kString;
  if (c == '"') state_ = State::kIdentifier;
  if (c == '(') ++parentheses_;
  if (c == ')' && parentheses_ > 0) --parentheses_;
  take(1);
  if (c == ';' && parentheses_ == 0 && blocks_ == 0) end_statement();
  return true;
}

bool ScriptFilter::begin_word() {
  std::size_t length = 1;
  while (length < rest().size() && goes_on_word(rest()[length])) {
    // Of a number the dollar sign is no part.
    if (rest()[length] == '$' && is_digit(rest().front())) break;
    ++length;
  }
  if (!have(length + 1)) {
    if (rest().size() > kLongestWord) refuse(line_, "a word without an end", "send an SQL dump as text");
    return false;
  }
  const std::string word = core::to_lower(rest().substr(0, length));
  const bool quote_follows = rest().size() > length && rest()[length] == '\'';
  if (word == "e" && quote_follows) {
    add_token("'");
    state_ = State::kEscapeString;
    take(2);
    return true;
  }
  if (is_digit(word.front()) && word.ends_with('e') && quote_follows) {
    refuse(line_, fmt::format("'{}' right before a quote can be read in two ways", word), "put a space between them");
  }
  add_token(word);
  if (begins_word(word.front())) follow_body(word);
  take(length);
  return true;
}

/// psql's own rule for what a semicolon does not end: CREATE [OR REPLACE] {FUNCTION | PROCEDURE} … BEGIN … END.
void ScriptFilter::follow_body(std::string_view word) {
  if (word_count_ == 0) body_words_.clear();
  if (word_count_ < 4) {
    constexpr std::array kMarks{"create", "function", "procedure", "or", "replace"};
    body_words_ += std::ranges::find(kMarks, word) != kMarks.end() ? word.front() : ' ';
  }
  ++word_count_;
  const bool defines = body_words_.starts_with("cf") || body_words_.starts_with("cp") ||
                       body_words_.starts_with("corf") || body_words_.starts_with("corp");
  if (!defines || parentheses_ > 0) return;
  if (word == "begin" || (word == "case" && blocks_ > 0)) ++blocks_;
  if (word == "end" && blocks_ > 0) --blocks_;
}

bool ScriptFilter::begin_dollar() {
  std::size_t length = 1;
  while (length < rest().size() && goes_on_word(rest()[length]) && rest()[length] != '$') ++length;
  if (!have(length + 2)) {
    if (rest().size() > kLongestWord) refuse(line_, "a dollar quote without an end", "send an SQL dump as text");
    return false;
  }
  const bool is_tag = length == 1 || begins_word(rest()[1]);
  if (is_tag && rest().size() > length && rest()[length] == '$') {
    delimiter_ = rest().substr(0, length + 1);
    add_token("'");
    state_ = State::kDollar;
    take(length + 1);
    return true;
  }
  const bool parameter = length > 1 && is_digit(rest()[1]);
  if (parameter && (rest()[length - 1] == 'e' || rest()[length - 1] == 'E') &&
      rest().substr(length).starts_with('\'')) {
    refuse(line_, "a parameter right before a quote can be read in two ways", "put a space between them");
  }
  add_token("$");
  take(1);
  return true;
}

bool ScriptFilter::step_quoted(char quote, bool escapes) {
  const std::string_view text = rest();
  const std::string special = escapes ? std::string{quote, '\\'} : std::string{quote};
  const auto at = text.find_first_of(special);
  if (at != 0) {
    take(at == std::string_view::npos ? text.size() : at);
    return true;
  }
  if (!have(2)) return false;
  const bool pair = text.size() > 1 && (text[0] == '\\' || text[1] == quote);
  if (pair || text[0] == '\\') {
    take(std::min<std::size_t>(2, text.size()));
    return true;
  }
  take(1);
  state_ = State::kSql;
  if (escapes) continuation_ = Continuation::kEnded;
  return true;
}

bool ScriptFilter::step_dollar() {
  const auto end = rest().find(delimiter_);
  if (end != std::string_view::npos) {
    take(end + delimiter_.size());
    state_ = State::kSql;
    return true;
  }
  // Its beginning may be there already.
  const std::size_t sure = rest().size() - std::min(rest().size(), delimiter_.size() - 1);
  if (final_) return false;
  take(sure);
  return false;
}

bool ScriptFilter::step_line_comment() {
  const auto end = rest().find_first_of("\r\n");
  const auto length = end == std::string_view::npos ? rest().size() : end;
  if (comment_.size() < kCommentKept) comment_ += rest().substr(0, std::min(length, kCommentKept));
  take(length);
  if (end == std::string_view::npos) return true;
  state_ = State::kSql;
  if (comment_ == "-- PostgreSQL database dump") {
    from_pg_dump_ = true;
    dump_complete_ = false;
  }
  if (comment_ == "-- PostgreSQL database dump complete") dump_complete_ = true;
  return true;
}

bool ScriptFilter::step_comment() {
  const auto at = rest().find_first_of("*/");
  if (at != 0) {
    take(at == std::string_view::npos ? rest().size() : at);
    return true;
  }
  if (!have(2)) return false;
  if (rest().starts_with("*/")) {
    take(2);
    if (--comment_depth_ == 0) state_ = State::kSql;
  } else if (rest().starts_with("/*")) {
    take(2);
    ++comment_depth_;
  } else {
    take(1);
  }
  return true;
}

bool ScriptFilter::step_copy_data() {
  const auto end = rest().find('\n');
  if (end == std::string_view::npos) {
    // The end mark may be coming.
    if (line_start_ && rest().size() < 4) {
      if (!final_) return false;
      if (rest() == "\\." || rest() == "\\.\r") state_ = State::kSql;
    }
    take(rest().size());
    return true;
  }
  const std::string_view line = rest().substr(0, end);
  if (line_start_ && (line == "\\." || line == "\\.\r")) state_ = State::kSql;
  take(end + 1);
  return true;
}

bool ScriptFilter::psql_command() {
  const auto end = rest().find('\n');
  if (end == std::string_view::npos && !final_ && rest().size() < kLongestWord) return false;
  const auto line = rest().substr(0, std::min(end, kLongestWord));
  const auto words = core::split(core::trim(line), ' ');
  const bool known = words[0] == "\\restrict" || words[0] == "\\unrestrict";
  const auto is_key = [](unsigned char c) { return std::isalnum(c) != 0; };
  if (known && line_start_ && !in_statement_ && words.size() == 2 && std::ranges::all_of(words[1], is_key)) {
    drop(end == std::string_view::npos ? rest().size() : end + 1);
    return true;
  }
  std::string name(line.substr(0, 1));
  for (const char c : line.substr(1)) {
    if (is_space(c) || name.size() >= 40) break;
    name += c;
    if (!begins_word(c)) break;
  }
  refuse(line_, fmt::format("the psql command '{}' cannot be imported", name),
         name == "\\connect" || name == "\\c" ? "dump a single database, without --create"
                                              : "SQL alone is imported: take the command out");
}

void ScriptFilter::add_token(std::string token) {
  if (!in_statement_) {
    if (token == ";") return;
    in_statement_ = true;
    undecided_ = is_suspect(token);
    statement_line_ = line_;
    ++statements_;
  }
  if (parentheses_ == 0 && !head_.empty() && head_[0] == "copy" && !tail_.empty() && tail_.back() == "from" &&
      (token == "stdin" || token == "stdout")) {
    copies_in_ = true;  // psql takes both words for its own input
  }
  if (token == ";") return;
  if (head_.size() < kHeadTokens) head_.push_back(token);
  if (tail_.size() == kTailTokens) tail_.erase(tail_.begin());
  tail_.push_back(std::move(token));
}

bool ScriptFilter::begins_with(std::initializer_list<std::string_view> words) const {
  return head_.size() >= words.size() && std::ranges::equal(words, std::span(head_).first(words.size()));
}

bool ScriptFilter::leaves_out() {
  const auto count = [](std::uint64_t& number) {
    ++number;
    return true;
  };
  const auto last = [&](std::size_t n) { return tail_.size() < n ? std::string_view() : tail_[tail_.size() - n]; };
  const bool renames = last(4) == "rename" || last(5) == "rename";  // a column of that name
  const bool gives = last(3) == "owner" && last(2) == "to" && !renames;
  if ((begins_with({"alter"}) && gives) || begins_with({"alter", "default", "privileges"}) || begins_with({"grant"}) ||
      begins_with({"revoke"}) || begins_with({"set", "session", "authorization"}) ||
      begins_with({"reset", "session", "authorization"}) || begins_with({"set", "default_tablespace"})) {
    return count(left_out_.ownership);
  }
  const bool schema = head_.size() == 3 && begins_with({"create", "schema", "public"});
  if (schema || begins_with({"comment", "on", "extension"})) return count(left_out_.made_already);
  const bool prepared = head_.size() > 1 && head_[1] == "prepared";
  const bool to_savepoint = std::ranges::find(head_, "to") != head_.end();
  if ((begins_with({"rollback"}) || begins_with({"abort"})) && !prepared && !to_savepoint) {
    refuse(statement_line_, "a dump that takes back what it did cannot be imported",
           "take the " + core::to_lower(head_[0]) + " out, with what it takes back");
  }
  if (begins_with({"begin"}) || begins_with({"start", "transaction"}) || (begins_with({"commit"}) && !prepared) ||
      begins_with({"end"})) {
    return count(left_out_.transactions);
  }
  return false;
}

void ScriptFilter::end_statement() {
  if (undecided_) {
    if (leaves_out()) held_ = std::string(static_cast<std::size_t>(std::ranges::count(held_, '\n')), '\n');
    decide();
  }
  copy_follows_ = copies_in_;
  in_statement_ = copies_in_ = false;
  head_.clear();
  tail_.clear();
  word_count_ = 0;
}

}  // namespace backstay::postgres
