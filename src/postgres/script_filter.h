// SQL for psql from somebody who is not trusted: what psql would do by itself is refused, what is not the database
// owner's to say is left out.
//
// Reads as psql does: quotes, comments, dollar quotes, bodies of SQL functions, COPY data. Each line of the output is
// the line of that number of the input, or empty.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace backstay::postgres {

/// What was left out, by statements.
struct LeftOut {
  /// ALTER … OWNER TO, GRANT, REVOKE, ALTER DEFAULT PRIVILEGES, SET SESSION AUTHORIZATION, SET default_tablespace.
  std::uint64_t ownership = 0;
  /// COMMENT ON EXTENSION, which only its owner may say, and CREATE SCHEMA public, which is there.
  std::uint64_t made_already = 0;
  /// BEGIN, COMMIT and the like: all becomes one transaction.
  std::uint64_t transactions = 0;
};

/// One thread at a time. Throws Error(import_refused) that names the line: for a psql command outside quotes, comments
/// and COPY data (\restrict and \unrestrict, which pg_dump writes, are left out), for ROLLBACK, for a byte that no text
/// has, and, by finish(), for what ends in the middle. After that it is of no use any more.
class ScriptFilter {
 public:
  using Sink = std::function<void(std::string_view)>;
  explicit ScriptFilter(Sink sink) : sink_(std::move(sink)) {}

  void write(std::string_view bytes);
  /// That was all.
  void finish();

  [[nodiscard]] const LeftOut& left_out() const { return left_out_; }
  [[nodiscard]] std::uint64_t statements() const { return statements_; }
  [[nodiscard]] std::uint64_t line() const { return line_; }

 private:
  enum class State { kSql, kString, kEscapeString, kIdentifier, kDollar, kLineComment, kComment, kCopyData };

  void run();
  /// Each takes something off the input; false: it needs more of it.
  bool step();
  bool step_sql();
  bool step_quoted(char quote, bool escapes);
  bool step_dollar();
  bool step_line_comment();
  bool step_comment();
  bool step_copy_data();
  bool begin_word();
  bool begin_dollar();
  bool psql_command();
  void end_statement();
  void decide();

  [[nodiscard]] std::string_view rest() const { return std::string_view(input_).substr(at_); }
  /// True if `count` bytes are there, or all that will ever come.
  [[nodiscard]] bool have(std::size_t count) const { return final_ || rest().size() >= count; }
  void take(std::size_t count);
  void drop(std::size_t count);
  void put(std::string_view text);
  void add_token(std::string token);
  void follow_body(std::string_view word);
  [[nodiscard]] bool leaves_out();
  [[nodiscard]] bool begins_with(std::initializer_list<std::string_view> words) const;
  [[noreturn]] static void refuse(std::uint64_t line, const std::string& what, const std::string& hint);

  Sink sink_;
  std::string input_;
  std::size_t at_ = 0;
  bool begun_ = false;
  bool final_ = false;
  State state_ = State::kSql;
  std::uint64_t line_ = 1;
  std::uint64_t state_line_ = 1;
  bool line_start_ = true;

  // The statement that is being read.
  bool in_statement_ = false;
  bool undecided_ = false;
  std::string held_;
  std::uint64_t statement_line_ = 1;
  std::vector<std::string> head_;
  std::vector<std::string> tail_;
  /// As psql counts them: unquoted words, by their number, of the few that begin a routine's definition.
  std::string body_words_;
  std::size_t word_count_ = 0;
  std::uint64_t parentheses_ = 0;
  std::uint64_t blocks_ = 0;
  bool copies_in_ = false;
  bool copy_follows_ = false;

  std::string delimiter_;
  std::uint64_t comment_depth_ = 0;
  std::string comment_;
  /// After the end of an E'…': another quote after a new line goes on with it.
  enum class Continuation { kNone, kEnded, kNewLine };
  Continuation continuation_ = Continuation::kNone;

  bool from_pg_dump_ = false;
  bool dump_complete_ = false;
  LeftOut left_out_;
  std::uint64_t statements_ = 0;
};

}  // namespace backstay::postgres
