#include "service/webhook_sender.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>

#include "control/controller/json_text.h"
#include "crypto/kdf.h"
#include "service/background.h"

namespace orrery::service {
namespace {

constexpr long kConnectSeconds = 5;
constexpr long kAnswerSeconds = 10;
constexpr std::array kPauses = {std::chrono::seconds(1), std::chrono::seconds(5),
                                std::chrono::seconds(25), std::chrono::seconds(120)};

struct CurlEnd {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }

  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

/// The body of an answer is of no interest.
std::size_t ignore(char*, std::size_t size, std::size_t n, void*) {
  return size * n;
}

bool set_up_curl() {
  static const bool kDone = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return kDone;
}

}  // namespace

std::string webhook_signature(const std::string& secret, const std::string& body) {
  return "sha384=" + to_hex(crypto::hmac_sha384(bytes_of(secret), bytes_of(body)));
}

/// One webhook and the thread that posts to it.
class WebhookSender::Hook {
 public:
  explicit Hook(control::Webhook hook) : hook_(std::move(hook)), thread_([this] { run(); }) {}

  /// Waits until the thread has ended: libcurl notices within about a second.
  ~Hook() {
    retire();
    thread_.join();
  }

  void retire() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
  }

  /// The thread is at its end.
  [[nodiscard]] bool ended() const { return ended_; }

  Hook(const Hook&) = delete;
  Hook& operator=(const Hook&) = delete;

  void set(control::Webhook hook) {
    {
      const std::lock_guard lock(mutex_);
      hook_ = std::move(hook);
      if (!hook_.enabled) waiting_.clear();
      hurry_ = true;
    }
    wake_.notify_one();
  }

  void publish(const control::ControllerEvent& event) {
    {
      const std::lock_guard lock(mutex_);
      if (!hook_.enabled || !hook_.filter.wants(event.type, event.network)) return;
      waiting_.push_back({event.id, event.type, control::json_text(to_json(event))});
      if (waiting_.size() > kWaitingMost) {
        waiting_.pop_front();
        ++lost_;
      }
    }
    wake_.notify_one();
  }

  [[nodiscard]] nlohmann::json deliveries() const {
    const std::lock_guard lock(mutex_);
    return {{"delivered", delivered_},
            {"failed", failed_},
            {"lost", lost_},
            {"waiting", waiting_.size()},
            {"lastError", last_error_.empty() ? nlohmann::json() : nlohmann::json(last_error_)}};
  }

 private:
  struct Delivery {
    std::uint64_t id = 0;
    std::string type, body;
  };

  void run() {
    reset_affinity();
    post_all();
    ended_ = true;
  }

  void post_all() {
    std::size_t failures = 0;
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
      if (stop_) return;
      const Delivery delivery = waiting_.front();
      const control::Webhook hook = hook_;
      hurry_ = false;
      lock.unlock();
      const std::string error = post(hook, delivery);
      lock.lock();
      if (error.empty()) {
        ++delivered_;
        failures = 0;
        last_error_.clear();
        if (!waiting_.empty() && waiting_.front().id == delivery.id) waiting_.pop_front();
        continue;
      }
      ++failed_;
      last_error_ = error;
      const auto pause = kPauses[std::min(failures++, kPauses.size() - 1)];
      wake_.wait_for(lock, pause, [this] { return stop_ || hurry_; });
    }
  }

  /// What went wrong; empty: nothing.
  std::string post(const control::Webhook& hook, const Delivery& delivery) {
    const std::unique_ptr<CURL, CurlEnd> curl(set_up_curl() ? curl_easy_init() : nullptr);
    if (!curl) return "libcurl cannot be set up";
    curl_slist* list = nullptr;
    for (const std::string& header :
         {std::string("Content-Type: application/json"), "X-Orrery-Event: " + delivery.type,
          "X-Orrery-Delivery: " + std::to_string(delivery.id),
          "X-Orrery-Signature: " + webhook_signature(hook.secret, delivery.body)}) {
      list = curl_slist_append(list, header.c_str());
    }
    const std::unique_ptr<curl_slist, CurlEnd> headers(list);
    char text[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(curl.get(), CURLOPT_URL, hook.url.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, delivery.body.data());
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(delivery.body.size()));
    curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, kAnswerSeconds);
    curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &ignore);
    curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, text);
    curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, this);
    curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, &Hook::shall_stop);
    const CURLcode code = curl_easy_perform(curl.get());
    if (code != CURLE_OK) return text[0] != 0 ? text : curl_easy_strerror(code);
    long status = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
    return status / 100 == 2 ? "" : "the answer was " + std::to_string(status);
  }

  /// libcurl asks now and then; anything but 0 ends the transfer.
  static int shall_stop(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    auto* hook = static_cast<Hook*>(self);
    const std::lock_guard lock(hook->mutex_);
    return hook->stop_ ? 1 : 0;
  }

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  control::Webhook hook_;
  std::deque<Delivery> waiting_;
  std::uint64_t delivered_ = 0, failed_ = 0, lost_ = 0;
  std::string last_error_;
  bool hurry_ = false;  // the webhook has changed: try at once
  bool stop_ = false;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

WebhookSender::WebhookSender() = default;

WebhookSender::~WebhookSender() {
  for (const auto& [id, hook] : hooks_) hook->retire();  // all at once
}

void WebhookSender::set(const std::vector<control::Webhook>& hooks) {
  std::erase_if(retired_, [](const auto& hook) { return hook->ended(); });
  for (auto known = hooks_.begin(); known != hooks_.end();) {
    const bool stays = std::any_of(hooks.begin(), hooks.end(), [&](const control::Webhook& hook) {
      return hook.id == known->first;
    });
    if (stays) {
      ++known;
      continue;
    }
    known->second->retire();
    retired_.push_back(std::move(known->second));
    known = hooks_.erase(known);
  }
  for (const control::Webhook& hook : hooks) {
    auto& known = hooks_[hook.id];
    if (known == nullptr) {
      known = std::make_unique<Hook>(hook);
    } else {
      known->set(hook);
    }
  }
}

void WebhookSender::publish(const std::vector<control::ControllerEvent>& events) {
  for (const auto& [id, hook] : hooks_) {
    for (const control::ControllerEvent& event : events) hook->publish(event);
  }
}

nlohmann::json WebhookSender::deliveries(const std::string& id) const {
  const auto it = hooks_.find(id);
  return it == hooks_.end() ? nlohmann::json() : it->second->deliveries();
}

}  // namespace orrery::service
