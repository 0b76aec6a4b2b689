// A request to the daemon's own API, over loopback TCP: all that the command line needs of HTTP.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace orrery::service {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

struct HttpCall {
  std::string host;
  std::uint16_t port = 0;
  std::string token;
  std::string method;
  std::string path;
  std::string body;
};

/// Errc::kNotFound when nobody listens; Errc::kIo for anything that breaks later. Waits at most 30
/// s for the next byte.
Result<HttpAnswer> http_request(const HttpCall& call);

/// The same, but the body of an answer 200 is given to `take` as it comes, chunk by whole chunk,
/// until that returns false; with nothing when a signal has come in between.
Result<HttpAnswer> http_stream(const HttpCall& call,
                               const std::function<bool(std::string_view)>& take);

}  // namespace orrery::service
