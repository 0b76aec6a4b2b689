// The local HTTP server: loopback TCP sockets and a Unix socket, each served by a thread of
// libmicrohttpd on any CPU.
//
// Bounds (HttpLimits): connections at a time, bytes of body, silence, and the whole life of a
// connection, which carries one request; an answer that is a stream may live longer. A local user
// may thus fill the TCP listeners for a while; the Unix socket has a limit of its own. Access rules
// that do not depend on the path are kept here: the Host header must name this host (against DNS
// rebinding), and a request that a browser sends from another origin is refused. Tokens are the
// caller's business (service/local_api.h).
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace orrery::service {

struct HttpRequest {
  std::string method;         // upper case as received
  std::string path;           // without query
  std::string token;          // X-ZT1-Auth, else Authorization: Bearer; empty if neither
  bool token_in_url = false;  // a query parameter `auth` was sent; never accepted
  std::string body;
  std::map<std::string, std::string> query{};  // decoded; of several of one name the last one
  std::string if_match{}, if_none_match{}, last_event_id{};  // header fields
};

/// An answer that is not there yet. Read by one thread at a time; destroyed, by any thread, when
/// all is sent or the client is gone (one that closes its sending side is, too).
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  /// Bytes written to `out`, which become one chunk; 0: ask again in a while; nothing: that was
  /// all. Must not block. `room`: 16 KiB at least. Never throws.
  virtual std::optional<std::size_t> read(char* out, std::size_t room) = 0;
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string type = "application/json";
  std::shared_ptr<HttpStream> stream = nullptr;  // instead of a body
  std::map<std::string, std::string> headers{};  // further ones
};

struct HttpLimits {
  unsigned connections = 16;      // at a time, per listener; further ones wait or are closed
  std::size_t body = 1u << 20;    // bytes; more gets 413, and is not kept
  unsigned silence = 10;          // seconds without a byte until a connection is closed
  std::chrono::seconds life{30};  // of a connection, whatever it does: against trickling clients
};

class HttpServer {
 public:
  /// Called on the server's threads, one request at a time each. What it throws is answered by 500.
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  explicit HttpServer(HttpLimits limits = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Listens on 127.0.0.1 and [::1] at `port` and on the Unix socket `socket_path` (mode 0660,
  /// replaced if stale). IPv6 missing from the host is not an error.
  Result<void> start(std::uint16_t port, const std::string& socket_path, Handler handler);
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace orrery::service
