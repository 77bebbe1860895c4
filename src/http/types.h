// Requests and responses as plain values: what handlers and clients see, without any library type.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"

namespace backstay::http {

/// Header fields in their order; names compare without regard to case.
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;
  Headers() = default;
  Headers(std::initializer_list<Field> fields) : fields_(fields) {}

  /// Adds a field, also beside one of the same name.
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  /// Replaces every field of this name.
  void set(std::string name, std::string value);
  void remove(std::string_view name);
  /// The first value of this name.
  [[nodiscard]] std::optional<std::string> find(std::string_view name) const;
  [[nodiscard]] auto begin() const { return fields_.begin(); }
  [[nodiscard]] auto end() const { return fields_.end(); }
  [[nodiscard]] std::size_t size() const { return fields_.size(); }

 private:
  std::vector<Field> fields_;
};

/// The body of an upload, as it comes. Used by the handler's thread only.
class BodySource {
 public:
  virtual ~BodySource() = default;
  /// Waits for the next piece, which is valid until the next call; empty at the end of the body. Throws
  /// Error(request_timeout) when the client sends nothing for too long, Error(cancelled) when it is gone or the server
  /// stops, Error(invalid_argument) for a malformed body.
  virtual std::string_view next() = 0;
  /// The Content-Length, if the client sent one.
  [[nodiscard]] virtual std::optional<std::uint64_t> length() const = 0;
};

struct Request {
  std::string method;                                           // upper case, as sent
  std::string path = {};                                        // as sent, still percent-encoded, without the query
  std::vector<std::pair<std::string, std::string>> query = {};  // decoded, in order
  Headers headers = {};
  std::string body = {};
  std::shared_ptr<BodySource> upload = {};                      // of an upload; `body` is empty then
  std::string client = {};                                      // the peer's address, without the port
  bool secure = false;                                          // true over TLS
  std::string trace_id = {};                                    // 32 hex digits: the caller's traceparent, else fresh
  std::map<std::string, std::string, std::less<>> params = {};  // what the route's {names} matched, decoded

  /// The first query value of this name; an empty text for "?name".
  [[nodiscard]] std::optional<std::string> query_value(std::string_view name) const;
  /// What a {name} of the route matched. Asking for a name that the route does not have is a defect: Error(internal).
  [[nodiscard]] const std::string& param(std::string_view name) const;
};

/// Where a stream's producer writes to. Used by the producer's thread only.
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  /// Sends the bytes at once and waits until the socket took them. False when the client is gone or too slow, or the
  /// server stops: the producer then returns.
  virtual bool write(std::string_view bytes) = 0;
};

/// Produces a body of unknown length, e.g. server-sent events, on a thread of its own. `stop` is requested when the
/// client goes away or the server stops; the producer returns soon after. What it throws ends the connection and is
/// logged.
using StreamProducer = std::function<void(StreamWriter&, std::stop_token stop)>;

struct Response {
  int status = 200;
  Headers headers = {};
  std::string body = {};
  StreamProducer stream = {};  // if set, it produces the body and `body` is not used
};

/// A handler runs on a worker thread and may block, but not for longer than an answer may take. It may throw.
using Handler = std::function<Response(const Request&)>;
/// Turns an error into an answer. Must not throw.
using ErrorRenderer = std::function<Response(const Request&, const core::Error&)>;

/// Splits "a=1&b=%20c" into decoded pairs; "+" means a space, as browsers send forms. Throws Error(invalid_argument)
/// for a broken escape.
std::vector<std::pair<std::string, std::string>> parse_query(std::string_view text);

/// The reason phrase of a status, "Unknown" for one without.
std::string_view reason_phrase(int status);

}  // namespace backstay::http
