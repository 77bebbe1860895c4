#include "http/client.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include "core/error.h"
#include "core/mutex.h"
#include "core/text.h"

namespace backstay::http {
namespace {

using core::Code;
using core::Error;

constexpr long kSlowBytesPerSecond = 1024;
constexpr long kBufferSize = 512 * 1024;
constexpr std::uint64_t kMostReserved = 64 * 1024 * 1024;  // a peer may announce more than it sends

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

void initialise_once() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
      throw Error(Code::kInternal, "libcurl cannot be initialised");
  });
}

template <typename Value>
void set(CURL* easy, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(easy, option, value);
  if (code != CURLE_OK) {
    throw Error(Code::kInternal,
                fmt::format("libcurl refuses option {}: {}", static_cast<int>(option), curl_easy_strerror(code)));
  }
}

void add_header(HeaderList& list, const std::string& line) {
  curl_slist* extended = curl_slist_append(list.get(), line.c_str());
  if (extended == nullptr) throw std::bad_alloc();
  (void)list.release();
  list.reset(extended);
}

HeaderList make_headers(const Headers& headers) {
  HeaderList list;
  for (const auto& [name, value] : headers) {
    if ((name + value).find_first_of("\r\n") != std::string::npos) {
      throw Error(Code::kInvalidArgument, fmt::format("header '{}' holds a line break", name));
    }
    add_header(list, value.empty() ? name + ";" : name + ": " + value);
  }
  // What libcurl would add by itself.
  add_header(list, "Expect:");
  if (!headers.find("Content-Type")) add_header(list, "Content-Type:");
  return list;
}

/// One request in flight; libcurl's callbacks see it.
class Exchange {
 public:
  Exchange(const ClientRequest& request, const ClientConfig& config, std::stop_token stop)
      : request_(request), config_(config), stop_(std::move(stop)), url_(parse_url(request.url)) {}

  ClientResponse run(CURL* easy) {
    easy_ = easy;
    prepare();
    const CURLcode code = curl_easy_perform(easy);
    if (failure_) std::rethrow_exception(failure_);
    if (code != CURLE_OK) fail(code);
    response_.status = static_cast<int>(status());
    return std::move(response_);
  }

 private:
  void prepare() {
    headers_ = make_headers(request_.headers);
    set(easy_, CURLOPT_URL, request_.url.c_str());
    set(easy_, CURLOPT_PATH_AS_IS, 1L);
    set(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
    set(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(easy_, CURLOPT_PROXY, "");
    set(easy_, CURLOPT_FOLLOWLOCATION, 0L);
    set(easy_, CURLOPT_NOSIGNAL, 1L);
    set(easy_, CURLOPT_HTTPHEADER, headers_.get());
    set(easy_, CURLOPT_ERRORBUFFER, error_text_.data());
    set(easy_, CURLOPT_BUFFERSIZE, kBufferSize);
    set(easy_, CURLOPT_UPLOAD_BUFFERSIZE, kBufferSize);
    set(easy_, CURLOPT_TCP_KEEPALIVE, 1L);
    if (!config_.ca_file.empty()) set(easy_, CURLOPT_CAINFO, config_.ca_file.c_str());
    prepare_limits();
    prepare_body();
    prepare_callbacks();
  }

  void prepare_limits() {
    set(easy_, CURLOPT_TIMEOUT_MS, static_cast<long>(request_.deadline.count()));
    set(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(config_.connect_timeout.count()));
    set(easy_, CURLOPT_LOW_SPEED_LIMIT, kSlowBytesPerSecond);
    set(easy_, CURLOPT_LOW_SPEED_TIME, static_cast<long>(config_.stall_time.count()));
  }

  void prepare_body() {
    if (request_.method == "HEAD") {
      set(easy_, CURLOPT_NOBODY, 1L);
      return;
    }
    if (!request_.body.empty() || request_.method == "POST" || request_.method == "PUT" || request_.method == "PATCH") {
      set(easy_, CURLOPT_POSTFIELDS, request_.body.empty() ? "" : reinterpret_cast<const char*>(request_.body.data()));
      set(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    }
    set(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }

  void prepare_callbacks() {
    set(easy_, CURLOPT_OPENSOCKETFUNCTION, &Exchange::open_socket);
    set(easy_, CURLOPT_OPENSOCKETDATA, this);
    set(easy_, CURLOPT_HEADERFUNCTION, &Exchange::on_header);
    set(easy_, CURLOPT_HEADERDATA, this);
    set(easy_, CURLOPT_WRITEFUNCTION, &Exchange::on_body);
    set(easy_, CURLOPT_WRITEDATA, this);
    set(easy_, CURLOPT_XFERINFOFUNCTION, &Exchange::on_progress);
    set(easy_, CURLOPT_XFERINFODATA, this);
    set(easy_, CURLOPT_NOPROGRESS, 0L);
  }

  [[nodiscard]] long status() const {
    long status = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    return status;
  }

  [[noreturn]] void fail(CURLcode code) const {
    const std::string peer = url_.authority();
    const std::string_view detail = error_text_.front() != '\0' ? error_text_.data() : curl_easy_strerror(code);
    switch (code) {
      case CURLE_ABORTED_BY_CALLBACK: throw Error(Code::kCancelled, fmt::format("the request to {} was stopped", peer));
      case CURLE_OPERATION_TIMEDOUT:
        throw Error(Code::kTimeout, fmt::format("{} did not answer in time: {}", peer, detail));
      case CURLE_URL_MALFORMAT:
      case CURLE_UNSUPPORTED_PROTOCOL:
        throw Error(Code::kInvalidArgument, fmt::format("the URL of {} cannot be used: {}", peer, detail));
      case CURLE_PEER_FAILED_VERIFICATION:
        throw Error(Code::kStoreUnreachable, fmt::format("the certificate of {} is not trusted: {}", peer, detail))
            .with_hint(
                "use an endpoint whose certificate a trusted authority signed for this name, or have the operator "
                "add the authority");
      default: break;
    }
    if (refused_) {
      throw Error(Code::kEgressRefused, fmt::format("{} resolves to a {}", peer, describe(*refused_)));
    }
    throw Error(Code::kStoreUnreachable, fmt::format("no answer from {}: {}", peer, detail));
  }

  static curl_socket_t open_socket(void* self, curlsocktype purpose, curl_sockaddr* address) {
    auto& exchange = *static_cast<Exchange*>(self);
    const AddressKind kind = classify_address(address->addr);
    if (purpose != CURLSOCKTYPE_IPCXN || !exchange.config_.egress.allows(kind)) {
      exchange.refused_ = kind;
      return CURL_SOCKET_BAD;
    }
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  }

  static std::size_t on_header(char* data, std::size_t one, std::size_t count, void* self) {
    auto& exchange = *static_cast<Exchange*>(self);
    const std::string_view line(data, one * count);
    if (line.starts_with("HTTP/")) {
      exchange.response_.headers = {};  // what came before was an interim answer
    } else if (const auto colon = line.find(':'); colon != std::string_view::npos) {
      exchange.response_.headers.add(std::string(line.substr(0, colon)),
                                     std::string(core::trim(line.substr(colon + 1))));
    }
    return line.size();
  }

  static std::size_t on_body(char* data, std::size_t one, std::size_t count, void* self) {
    auto& exchange = *static_cast<Exchange*>(self);
    const std::size_t size = one * count;
    try {
      exchange.take({reinterpret_cast<const std::byte*>(data), size});
      return size;
    } catch (...) {
      exchange.failure_ = std::current_exception();
      return size + 1;  // ends the transfer
    }
  }

  void take(core::ByteSpan piece) {
    if (request_.sink && status() / 100 == 2) return request_.sink(piece);
    if (response_.body.size() + piece.size() > request_.max_response_bytes) {
      throw Error(Code::kStoreRefused, fmt::format("the answer of {} is longer than {} bytes", url_.authority(),
                                                   request_.max_response_bytes));
    }
    if (response_.body.empty()) reserve();
    core::append(response_.body, piece);
  }

  void reserve() {
    curl_off_t announced = -1;
    curl_easy_getinfo(easy_, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    if (announced <= 0) return;
    response_.body.reserve(
        std::min({static_cast<std::uint64_t>(announced), request_.max_response_bytes, kMostReserved}));
  }

  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Exchange*>(self)->stop_.stop_requested() ? 1 : 0;
  }

  const ClientRequest& request_;
  const ClientConfig& config_;
  const std::stop_token stop_;
  const Url url_;
  CURL* easy_ = nullptr;
  HeaderList headers_;
  ClientResponse response_;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
  std::optional<AddressKind> refused_;
  std::exception_ptr failure_;
};

}  // namespace

/// Idle handles; each keeps its own connections.
class Client::Impl {
 public:
  explicit Impl(ClientConfig config) : config_(std::move(config)) { initialise_once(); }

  ClientResponse send(const ClientRequest& request, std::stop_token stop) {
    Easy easy = take();
    ClientResponse response = Exchange(request, config_, std::move(stop)).run(easy.get());
    give_back(std::move(easy));
    return response;
  }

 private:
  Easy take() {
    {
      const core::LockGuard lock(mutex_);
      if (!idle_.empty()) {
        Easy easy = std::move(idle_.back());
        idle_.pop_back();
        return easy;
      }
    }
    Easy easy(curl_easy_init());
    if (!easy) throw std::bad_alloc();
    return easy;
  }

  // Only after a success: a handle whose request failed goes, with its connection.
  void give_back(Easy easy) {
    curl_easy_reset(easy.get());
    const core::LockGuard lock(mutex_);
    if (idle_.size() < config_.idle_connections) idle_.push_back(std::move(easy));
  }

  const ClientConfig config_;
  core::Mutex mutex_;
  std::vector<Easy> idle_ GUARDED_BY(mutex_);
};

Client::Client(ClientConfig config) : impl_(std::make_unique<Impl>(std::move(config))) {}
Client::~Client() = default;

ClientResponse Client::send(const ClientRequest& request, std::stop_token stop) {
  return impl_->send(request, std::move(stop));
}

}  // namespace backstay::http
