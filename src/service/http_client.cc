#include "service/http_client.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

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

/// Joins the chunks of a chunked body.
std::string dechunk(std::string_view chunked) {
  std::string body;
  for (;;) {
    const std::size_t line = chunked.find("\r\n");
    if (line == std::string_view::npos) return body;
    std::size_t size = 0;
    const auto parsed = std::from_chars(chunked.data(), chunked.data() + line, size, 16);
    if (parsed.ec != std::errc{} || size == 0 || chunked.size() < line + 2 + size) return body;
    body += chunked.substr(line + 2, size);
    chunked.remove_prefix(std::min(chunked.size(), line + 2 + size + 2));
  }
}

}  // namespace

Result<HttpAnswer> http_request(const std::string& host, std::uint16_t port,
                                const std::string& token, const std::string& method,
                                const std::string& path, const std::string& body) {
  const int fd = connect_to(host, port);
  if (fd < 0)
    return failure(Errc::kNotFound,
                   "no daemon answers on " + host + " port " + std::to_string(port));
  std::string request =
      method + " " + path +
      " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-ZT1-Auth: " + token + "\r\n";
  if (!body.empty() || method != "GET") {
    request +=
        "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  }
  request += "\r\n" + body;
  std::string_view rest = request;
  while (!rest.empty()) {
    const ssize_t n = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n <= 0) break;
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  std::string response;
  char chunk[16384];
  ssize_t n = 0;
  while ((n = ::recv(fd, chunk, sizeof chunk, 0)) > 0)
    response.append(chunk, static_cast<std::size_t>(n));
  const int code = errno;
  ::close(fd);

  const std::size_t head = response.find("\r\n\r\n");
  HttpAnswer answer;
  if (head == std::string::npos || !response.starts_with("HTTP/1.") || response.size() < 12 ||
      std::from_chars(response.data() + 9, response.data() + 12, answer.status).ec != std::errc{}) {
    return failure(Errc::kIo,
                   "the daemon gave no answer to " + method + " " + path +
                       (n < 0 ? std::string(": ") + std::strerror(code) : std::string()));
  }
  answer.body = response.substr(head + 4);
  if (response.substr(0, head).find("ransfer-Encoding: chunked") != std::string::npos)
    answer.body = dechunk(answer.body);
  return answer;
}

}  // namespace orrery::service
