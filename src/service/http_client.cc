#include "service/http_client.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace orrery::service {
namespace {

int connect_to(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return -1;
  int fd = -1;
  for (addrinfo* a = found; a != nullptr && fd < 0; a = a->ai_next) {
    fd = ::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    const timeval limit{30, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (::connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
      ::close(fd);
      fd = -1;
    }
  }
  ::freeaddrinfo(found);
  return fd;
}

/// A part of the body and the status of its answer. False: enough.
using Take = std::function<bool(int, std::string_view)>;

/// What is read of an answer, and how far it is understood.
class AnswerReader {
 public:
  explicit AnswerReader(const Take& take) : take_(take) {}

  [[nodiscard]] int status() const { return status_; }

  /// More has come. False: `take` has enough, or the rest would make no sense.
  bool add(std::string_view bytes) {
    text_ += bytes;
    if (status_ == 0 && !read_head()) return true;
    if (chunked_) return read_chunks();
    const std::string body = std::exchange(text_, {});
    return body.empty() || take_(status_, body);
  }

 private:
  static constexpr std::size_t kLargestChunk = std::size_t{1} << 28;

  bool read_head() {
    const std::size_t end = text_.find("\r\n\r\n");
    if (end == std::string::npos || end < 12 || !text_.starts_with("HTTP/1.")) return false;
    (void)std::from_chars(text_.data() + 9, text_.data() + 12, status_);
    chunked_ = std::string_view(text_).substr(0, end).find("ransfer-Encoding: chunked") !=
               std::string::npos;
    text_.erase(0, end + 4);
    return status_ != 0;
  }

  bool read_chunks() {
    std::string_view rest = text_;
    for (;;) {
      const std::size_t line = rest.find("\r\n");
      if (line == std::string_view::npos) break;
      std::size_t size = 0;
      const auto parsed = std::from_chars(rest.data(), rest.data() + line, size, 16);
      if (parsed.ec != std::errc{} || size == 0 || size > kLargestChunk) return false;
      if (rest.size() < line + 2 + size + 2) break;
      if (!take_(status_, rest.substr(line + 2, size))) return false;
      rest.remove_prefix(line + 2 + size + 2);
    }
    text_.erase(0, text_.size() - rest.size());
    return true;
  }

  const Take& take_;
  std::string text_;  // not understood yet
  int status_ = 0;
  bool chunked_ = false;
};

void send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// Says so, and waits until the daemon has understood: what it did for us is over then.
void end_early(int fd) {
  const timeval limit{2, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::shutdown(fd, SHUT_WR);
  char rest[16384];
  while (::recv(fd, rest, sizeof rest, 0) > 0) {
  }
}

}  // namespace

Result<HttpAnswer> http_request(const HttpCall& call) {
  return http_stream(call, nullptr);
}

Result<HttpAnswer> http_stream(const HttpCall& call,
                               const std::function<bool(std::string_view)>& take) {
  const int fd = connect_to(call.host, call.port);
  if (fd < 0)
    return failure(Errc::kNotFound,
                   "no daemon answers on " + call.host + " port " + std::to_string(call.port));
  std::string request =
      call.method + " " + call.path +
      " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-ZT1-Auth: " + call.token + "\r\n";
  if (!call.body.empty() || call.method != "GET") {
    request +=
        "Content-Type: application/json\r\nContent-Length: " + std::to_string(call.body.size()) +
        "\r\n";
  }
  send_all(fd, request + "\r\n" + call.body);
  HttpAnswer answer;
  const Take give = [&](int status, std::string_view part) {
    if (take != nullptr && (status == 200 || part.empty())) return take(part);
    answer.body += part;
    return true;
  };
  AnswerReader reader(give);
  char chunk[16384];
  int code = 0;
  bool enough = false;
  while (!enough) {
    const ssize_t n = ::recv(fd, chunk, sizeof chunk, 0);
    if (n < 0 && errno == EINTR) {
      enough = !give(0, {});
      continue;
    }
    if (n < 0) code = errno;
    if (n <= 0) break;
    enough = !reader.add({chunk, static_cast<std::size_t>(n)});
  }
  if (enough) end_early(fd);
  ::close(fd);
  answer.status = reader.status();
  if (answer.status != 0) return answer;
  return failure(Errc::kIo,
                 "the daemon gave no answer to " + call.method + " " + call.path +
                     (code != 0 ? std::string(": ") + std::strerror(code) : std::string()));
}

}  // namespace orrery::service
