#include "service/web_files.h"

#include <string_view>

namespace orrery::service {

// Of src/service/web, by tools/embed.
extern const std::string_view kWebIndex, kWebApp, kWebJsonPlaces, kWebStyle, kWebPlot,
    kWebPlotStyle, kWebPlotLicense;

namespace {

struct File {
  std::string_view path;
  const std::string_view& content;
  const char* type;
};

constexpr const char* kHtml = "text/html; charset=utf-8";
constexpr const char* kScript = "text/javascript; charset=utf-8";
constexpr const char* kSheet = "text/css; charset=utf-8";

constexpr File kFiles[] = {
    {"/ui/", kWebIndex, kHtml},
    {"/ui/app.js", kWebApp, kScript},
    {"/ui/json_places.js", kWebJsonPlaces, kScript},
    {"/ui/style.css", kWebStyle, kSheet},
    {"/ui/uplot/uPlot.iife.min.js", kWebPlot, kScript},
    {"/ui/uplot/uPlot.min.css", kWebPlotStyle, kSheet},
    {"/ui/uplot/LICENSE", kWebPlotLicense, "text/plain; charset=utf-8"},
};

constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace

std::optional<HttpResponse> web_file(const std::string& path) {
  if (path == "/" || path == "/ui") {
    HttpResponse away{302, "", "text/plain"};
    away.headers["Location"] = "/ui/";
    return away;
  }
  if (!path.starts_with("/ui/")) return std::nullopt;
  for (const File& file : kFiles) {
    if (file.path != path) continue;
    HttpResponse response{200, std::string(file.content), file.type};
    response.headers = {{"Content-Security-Policy", kPolicy},
                        {"X-Content-Type-Options", "nosniff"},
                        {"Referrer-Policy", "no-referrer"}};
    return response;
  }
  return HttpResponse{404, "", "text/plain"};
}

}  // namespace orrery::service
