// PostgreSQL's restore_command: asks whoever feeds the recovery for a file and moves it into place.
//
//   backstay-restore-wal <socket> <file name> <destination>
//
// The other side answers one line: "ready" (the file lies in wal/ beside the socket, on the same file system),
// "missing" (it is known not to exist on this branch: exit 1, PostgreSQL goes on without it), or "error <why>".
// Whatever else happens, a lost connection or no answer in time included, nobody can know: exit 126 makes PostgreSQL
// stop the recovery instead of promoting short of its target. A static program of few dependencies, because it starts
// once for every 16 MiB of WAL.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

constexpr int kServed = 0;
constexpr int kMissing = 1;
constexpr int kUnknown = 126;
constexpr long kDeadlineSeconds = 300;
constexpr std::size_t kLongestAnswer = 4096;

int fail(const std::string& what) {
  std::fprintf(stderr, "backstay-restore-wal: %s\n", what.c_str());
  return kUnknown;
}

int fail_with_errno(const std::string& what) { return fail(what + ": " + std::strerror(errno)); }

long now_seconds() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec;
}

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

/// A socket address holds 107 bytes; a longer path goes through a descriptor of its directory, left open on purpose.
std::string short_name(const std::string& path) {
  if (path.size() < sizeof(sockaddr_un::sun_path)) return path;
  const int directory = open(directory_of(path).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  return "/proc/self/fd/" + std::to_string(directory) + path.substr(path.rfind('/'));
}

int connect_to(const std::string& path) {
  const auto name = short_name(path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int reason = errno;
    close(fd);
    errno = reason;
    return -1;
  }
  return fd;
}

bool send_all(int fd, const std::string& text) {
  std::size_t sent = 0;
  while (sent < text.size()) {
    const auto count = send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    sent += static_cast<std::size_t>(count);
  }
  return true;
}

/// One line without its end. False, with errno, if none comes in time.
bool read_line(int fd, long end, std::string& line) {
  while (line.find('\n') == std::string::npos) {
    const long left = end - now_seconds();
    if (left <= 0) return errno = ETIMEDOUT, false;
    pollfd polled{fd, POLLIN, 0};
    const int ready = poll(&polled, 1, static_cast<int>(left * 1000));
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return false;
    if (ready == 0) continue;
    char buffer[512];
    const auto count = read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    if (count == 0 || line.size() > kLongestAnswer) return errno = ECONNRESET, false;
    line.append(buffer, static_cast<std::size_t>(count));
  }
  line.resize(line.find('\n'));
  return true;
}

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.find_first_of("/\n") == std::string::npos && name != "." && name != "..";
}

int restore(const std::string& socket_path, const std::string& file, const std::string& destination) {
  if (!is_plain_name(file)) return fail("'" + file + "' is not a file name");
  const int fd = connect_to(socket_path);
  if (fd < 0) return fail_with_errno("cannot connect to '" + socket_path + "'");
  std::string answer;
  const bool answered = send_all(fd, file + "\n") && read_line(fd, now_seconds() + kDeadlineSeconds, answer);
  if (!answered) return fail_with_errno("no answer about '" + file + "'");
  if (answer == "missing") return kMissing;
  if (answer.compare(0, 6, "error ") == 0) return fail(file + ": " + answer.substr(6));
  if (answer != "ready") return fail("the answer about '" + file + "' is not understood: '" + answer + "'");
  const auto source = directory_of(socket_path) + "/wal/" + file;
  if (rename(source.c_str(), destination.c_str()) != 0) {
    return fail_with_errno("cannot move '" + source + "' to '" + destination + "'");
  }
  return kServed;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return fail("usage: backstay-restore-wal <socket> <file name> <destination>");
  return restore(argv[1], argv[2], argv[3]);
}
