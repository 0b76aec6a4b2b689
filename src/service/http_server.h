// The local HTTP server: loopback TCP sockets and a Unix socket, served by one thread of
// libmicrohttpd.
//
// Bounds: 16 connections at a time, 1 MiB of body, 10 s of silence. Access rules that do not depend
// on the path are kept here: the Host header must name this host (against DNS rebinding), and a
// request that a browser sends from another origin is refused. Tokens are the caller's business
// (service/local_api.h).
#pragma once

#include <functional>
#include <memory>
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
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string type = "application/json";
};

class HttpServer {
 public:
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  HttpServer();
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
