// A request to the daemon's own API, over loopback TCP: all that the command line needs of HTTP.
#pragma once

#include <string>

#include "base/result.h"

namespace orrery::service {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

/// Errc::kNotFound when nobody listens; Errc::kIo for anything that breaks later. Waits at most 30
/// s.
Result<HttpAnswer> http_request(const std::string& host, std::uint16_t port,
                                const std::string& token, const std::string& method,
                                const std::string& path, const std::string& body);

}  // namespace orrery::service
