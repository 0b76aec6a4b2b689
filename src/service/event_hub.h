// The controller's events, handed to those who listen: HTTP clients as server-sent events, and
// whoever else subscribes.
//
// The control thread publishes; streams are read by the threads of the HTTP server. The newest
// kKept events are remembered, so that a client that comes back with Last-Event-ID misses nothing
// within them; one that is too far behind is told of the gap. Thread-safe.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "control/controller/events.h"
#include "control/controller/webhooks.h"
#include "service/http_server.h"

namespace orrery::service {

class EventHub {
 public:
  static constexpr std::size_t kKept = 4'096;
  /// Streams at a time; each takes one of the HTTP server's connections.
  static constexpr std::size_t kStreams = 8;

  struct Entry {
    std::uint64_t id = 0;
    std::string type;
    wire::NetworkId network;
    std::string json;
  };

  /// `begin`: no event from now on has a lower id; of those before nothing is known.
  explicit EventHub(std::uint64_t begin);

  void publish(const std::vector<control::ControllerEvent>& events);

  /// What a client is given from now on, or from behind the event `last_id` (0: now). Null: too
  /// many listen already.
  [[nodiscard]] std::shared_ptr<HttpStream> open(control::EventFilter filter,
                                                 std::uint64_t last_id);

  /// Ends all streams.
  void close();

 private:
  struct State;
  class Stream;
  std::shared_ptr<State> state_;
};

}  // namespace orrery::service
