// One server, spoken to over the house API.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/event_stream.h"
#include "core/json.h"
#include "core/secret.h"
#include "http/client.h"
#include "os/file_system.h"

namespace backstay::cli {

/// Where the server is, as the person said it; empty means not said.
struct ConnectionOptions {
  std::string server;
  std::string token_file;
  std::string state_dir;
  std::string ca_file;
};

struct Connection {
  std::string url;  // without a slash at the end
  core::Secret token;
  std::string ca_file;
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// An option wins over BACKSTAY_URL and BACKSTAY_TOKEN, which win over the state directory's endpoint.json and
/// admin-token. Throws Error(config_error) that says how to name a server when neither does.
Connection resolve_connection(const ConnectionOptions& options, const Environment& environment, os::FileSystem& files);

using Query = std::vector<std::pair<std::string, std::string>>;

class HouseClient {
 public:
  /// The transport must outlive the client.
  HouseClient(Connection connection, http::Transport& transport)
      : connection_(std::move(connection)), transport_(transport) {}

  /// The answer's JSON; null for an empty body. Throws
  ///   unavailable   the server cannot be reached or is starting or stopping
  ///   what the server's error envelope says: its code, message, fields and hint
  core::json::value get(const std::string& path, const Query& query = {});
  core::json::value send(std::string_view method, const std::string& path, const core::json::value& body);
  /// Sends bytes of any size as they are.
  core::json::value upload(const std::string& path, core::ByteSpan bytes);
  /// Passes on an answer of any size as it comes. Throws as above; what came before is then not whole.
  void download(const std::string& path, const std::function<void(core::ByteSpan)>& sink);
  /// Reads a stream of events until it ends, `at_most` so long, going on after the one named `last_id` if the server
  /// can. Throws as above, and timeout.
  void follow(const std::string& path, const std::string& last_id, std::chrono::milliseconds at_most,
              const std::function<void(const StreamEvent&)>& each);

 private:
  [[nodiscard]] http::ClientRequest request_to(std::string_view method, const std::string& path) const;
  http::ClientResponse answer_to(const http::ClientRequest& request);
  core::json::value call(std::string_view method, const std::string& path, const std::string& body);
  Connection connection_;
  http::Transport& transport_;
};

/// The error that an answer of the server stands for. Exposed for tests.
core::Error error_of_answer(int status, std::string_view body);

}  // namespace backstay::cli
