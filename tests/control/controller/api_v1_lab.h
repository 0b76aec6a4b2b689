// A controller with /api/v1 under test: calls whose answers are checked against the OpenAPI
// document.
#pragma once

#include <gtest/gtest.h>

#include "control/controller/api_v1.h"
#include "lab.h"

namespace orrery::test {

struct ApiV1Lab : ControllerLab {
  struct Reply {
    int status = 0;
    nlohmann::json body;
    std::string etag;
    std::string location;

    [[nodiscard]] std::string path() const {
      return body["error"]["path"].is_string() ? body["error"]["path"].get<std::string>() : "";
    }
  };

  using Query = std::map<std::string, std::string>;

  /// One call with the daemon's own token, or another. Fails the test when the document does not
  /// have the answer.
  Reply ask(const std::string& method, const std::string& path,
            const nlohmann::json& body = nullptr, const Query& query = {},
            const std::string& if_match = {}, const std::string& if_none_match = {}) {
    return send({method, "/api/v1" + path, query, body.is_null() ? "" : body.dump(), if_match,
                 if_none_match, token, token.empty()});
  }

  Reply send(const control::ApiCall& request) {
    const control::ApiAnswer answer = api.handle(now, request, out);
    commit();
    last_events = answer.events;
    Reply reply{answer.status,
                answer.body.empty() ? nlohmann::json() : nlohmann::json::parse(answer.body),
                answer.etag, answer.location};
    check(request, reply);
    return reply;
  }

  [[nodiscard]] const nlohmann::json& document() const { return api.schema().document(); }

  /// The path of the document that a request's path is one of.
  [[nodiscard]] std::string pattern_of(const std::string& path) const {
    std::string best;
    for (const auto& [pattern, operations] : document()["paths"].items()) {
      std::size_t i = 0, j = 0;
      while (i < pattern.size() && j < path.size()) {
        if (pattern[i] == '{') {
          i = pattern.find('}', i) + 1;
          j = std::min(path.find('/', j), path.size());
        } else if (pattern[i++] != path[j++]) {
          break;
        }
      }
      const bool whole = i == pattern.size() && j == path.size();
      if (whole && (best.empty() || pattern.find("bulk") != std::string::npos)) best = pattern;
    }
    return best;
  }

  void check(const control::ApiCall& request, const Reply& reply) {
    const std::string trace = request.method + " " + request.path + ": " +
                              std::to_string(reply.status) + " " + reply.body.dump().substr(0, 200);
    if (reply.status == 405 || pattern_of(request.path).empty()) return;
    std::string method = request.method;
    for (char& c : method) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const nlohmann::json& path = document()["paths"][pattern_of(request.path)];
    if (!path.contains(method)) return;
    const nlohmann::json& responses = path[method]["responses"];
    const std::string status = std::to_string(reply.status);
    ASSERT_TRUE(responses.contains(status)) << "not in the document: " << trace;
    const nlohmann::json& response = responses[status];
    if (!response.contains("content")) {
      EXPECT_TRUE(reply.body.is_null()) << trace;
      return;
    }
    if (!response["content"].contains("application/json")) return;
    const auto wrong =
        api.schema().check(response["content"]["application/json"]["schema"], reply.body);
    EXPECT_FALSE(wrong) << trace << "\n" << wrong->path << ": " << wrong->text;
    EXPECT_EQ(response.contains("headers"), !reply.etag.empty()) << trace;
    covered.insert(method + " " + pattern_of(request.path));
  }

  control::ApiV1 api{controller};
  std::string token;  // empty: the daemon's own
  std::optional<control::EventFilter> last_events;
  static inline std::set<std::string> covered;  // operations that were answered
};

}  // namespace orrery::test
