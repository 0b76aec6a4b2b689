// The controller's page: files that are built into the program and served as they are, without a
// token; what they show comes from the API, for which the page asks for one. They name no other
// host, and are served with a policy that lets them load and reach nothing but this daemon.
#pragma once

#include <optional>
#include <string>

#include "service/http_server.h"

namespace orrery::service {

/// Answers GET of "/" and of paths under "/ui"; nothing for other paths.
[[nodiscard]] std::optional<HttpResponse> web_file(const std::string& path);

}  // namespace orrery::service
