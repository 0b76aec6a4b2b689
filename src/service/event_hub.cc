#include "service/event_hub.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "control/controller/json_text.h"

namespace orrery::service {
namespace {

/// A comment so often keeps clients and whatever lies between from giving up.
constexpr std::chrono::seconds kSignOfLife{15};

}  // namespace

struct EventHub::State {
  std::mutex mutex;
  std::deque<std::shared_ptr<const Entry>> kept;  // ids rise
  std::size_t streams = 0;
  std::uint64_t newest = 0;     // id
  std::uint64_t forgotten = 0;  // of the newest that is not kept
  bool closed = false;
};

class EventHub::Stream final : public HttpStream {
 public:
  Stream(std::shared_ptr<State> state, control::EventFilter filter, std::uint64_t last)
      : state_(std::move(state)), filter_(std::move(filter)), last_(last) {}

  ~Stream() override {
    const std::lock_guard lock(state_->mutex);
    --state_->streams;
  }

  std::optional<std::size_t> read(char* out, std::size_t room) override {
    if (text_.empty() && !fetch()) return std::nullopt;
    const std::size_t n = std::min(room, text_.size());
    std::memcpy(out, text_.data(), n);
    text_.erase(0, n);
    return n;
  }

 private:
  static constexpr std::size_t kAtOnce = 64;  // events between two looks at the client

  /// False: the end.
  bool fetch() {
    const auto now = std::chrono::steady_clock::now();
    if (!begun_) text_ = ": events of the controller\n\n";
    begun_ = true;
    {
      const std::lock_guard lock(state_->mutex);
      if (state_->closed) return false;
      if (last_ < state_->forgotten) {
        last_ = state_->forgotten;
        text_ += "event: gap\ndata: {}\n\n";
      }
      auto it = std::upper_bound(state_->kept.begin(), state_->kept.end(), last_,
                                 [](std::uint64_t id, const auto& e) { return id < e->id; });
      for (std::size_t n = 0; it != state_->kept.end() && n < kAtOnce; ++it, ++n) {
        const Entry& e = **it;
        last_ = e.id;
        if (!filter_.wants(e.type, e.network)) continue;
        text_ +=
            "id: " + std::to_string(e.id) + "\nevent: " + e.type + "\ndata: " + e.json + "\n\n";
      }
    }
    if (!text_.empty()) {
      next_sign_ = now + kSignOfLife;
    } else if (now >= next_sign_) {
      text_ = ":\n\n";
      next_sign_ = now + kSignOfLife;
    }
    return true;
  }

  const std::shared_ptr<State> state_;
  const control::EventFilter filter_;
  std::uint64_t last_;
  std::string text_;  // not read yet
  bool begun_ = false;
  std::chrono::steady_clock::time_point next_sign_{};
};

EventHub::EventHub(std::uint64_t begin) : state_(std::make_shared<State>()) {
  state_->newest = state_->forgotten = begin;
}

void EventHub::publish(const std::vector<control::ControllerEvent>& events) {
  if (events.empty()) return;
  std::vector<std::shared_ptr<const Entry>> entries;
  for (const control::ControllerEvent& event : events) {
    entries.push_back(std::make_shared<const Entry>(
        Entry{event.id, event.type, event.network, control::json_text(to_json(event))}));
  }
  const std::lock_guard lock(state_->mutex);
  for (auto& entry : entries) {
    state_->newest = entry->id;
    state_->kept.push_back(std::move(entry));
    if (state_->kept.size() <= kKept) continue;
    state_->forgotten = state_->kept.front()->id;
    state_->kept.pop_front();
  }
}

std::shared_ptr<HttpStream> EventHub::open(control::EventFilter filter, std::uint64_t last_id) {
  const std::lock_guard lock(state_->mutex);
  if (state_->streams >= kStreams || state_->closed) return nullptr;
  ++state_->streams;
  return std::make_shared<Stream>(state_, std::move(filter),
                                  last_id == 0 ? state_->newest : last_id);
}

void EventHub::close() {
  const std::lock_guard lock(state_->mutex);
  state_->closed = true;
}

}  // namespace orrery::service
