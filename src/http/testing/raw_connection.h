// A TCP connection that sends exactly what a test says, byte by byte if need be.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace backstay::http::testing {

class RawConnection {
 public:
  explicit RawConnection(std::uint16_t port);
  ~RawConnection();
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  /// False if the peer closed the connection.
  bool send(std::string_view bytes);
  /// Reads until what was read so far ends the wait by containing `text`; returns all of it. At most 10 s.
  std::string read_until(std::string_view text);
  /// Reads until the peer closes; at most 10 s, then adds "(still open)".
  std::string read_all();

 private:
  /// False at the end of the stream or when nothing came in time.
  bool read_some(std::string& into);

  int fd_ = -1;
  bool timed_out_ = false;
};

}  // namespace backstay::http::testing
