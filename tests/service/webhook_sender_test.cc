// Webhooks against a receiver that answers as it likes.
#include "service/webhook_sender.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "http_probe.h"

namespace orrery::service {
namespace {

using namespace std::chrono_literals;

/// Takes one request after another and answers with what `status` says.
class Receiver {
 public:
  Receiver() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd_, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(fd_, 8);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }

  ~Receiver() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }

  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/hook";
  }

  void answer_with(std::string status) {
    const std::lock_guard lock(mutex_);
    status_ = std::move(status);
  }

  /// Everything received, once there are so many.
  std::vector<std::string> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 20s, [&] { return requests_.size() >= count; });
    return requests_;
  }

 private:
  void run() {
    for (;;) {
      const int client = ::accept(fd_, nullptr, nullptr);
      if (client < 0) return;
      std::string text;
      char chunk[4096];
      for (ssize_t n = 0; !whole(text) && (n = ::recv(client, chunk, sizeof chunk, 0)) > 0;)
        text.append(chunk, static_cast<std::size_t>(n));
      std::string status;
      {
        const std::lock_guard lock(mutex_);
        status = status_;
        requests_.push_back(text);
      }
      changed_.notify_all();
      test::send_all(client,
                     "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      ::close(client);
    }
  }

  static bool whole(const std::string& text) {
    const std::size_t length = text.find("Content-Length: ");
    const std::size_t head = text.find("\r\n\r\n");
    return length != std::string::npos && head != std::string::npos &&
           text.size() >= head + 4 + std::stoul(text.substr(length + 16));
  }

  int fd_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string status_ = "204 No Content";
  std::vector<std::string> requests_;
  std::thread thread_;
};

control::ControllerEvent event(std::uint64_t id, const char* type = "member.changed",
                               wire::NetworkId network = wire::NetworkId{0x1122334455000001}) {
  return {id, 5, type, "local", network, {}, nullptr};
}

nlohmann::json until(const WebhookSender& sender, const std::string& id, const char* key,
                     std::uint64_t value) {
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (sender.deliveries(id).value(key, std::uint64_t{0}) < value &&
         std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(5ms);
  return sender.deliveries(id);
}

TEST(WebhookSender, PostsSignedEventsInOrder) {
  Receiver receiver;
  WebhookSender sender;
  sender.set({{"a", receiver.url(), "key", true, {{"member.changed"}, std::nullopt}},
              {"off", receiver.url(), "key", false, {}}});
  sender.publish({event(1), event(2, "network.changed"), event(3)});
  const auto requests = receiver.wait_for(2);
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_TRUE(requests[0].starts_with("POST /hook HTTP/1.1\r\n")) << requests[0];
  EXPECT_NE(requests[0].find("\r\nX-Orrery-Event: member.changed\r\n"), std::string::npos);
  EXPECT_NE(requests[0].find("\r\nX-Orrery-Delivery: 1\r\n"), std::string::npos);
  EXPECT_NE(requests[1].find("\r\nX-Orrery-Delivery: 3\r\n"), std::string::npos);
  const std::string body = test::body_of(requests[0]);
  EXPECT_EQ(nlohmann::json::parse(body), to_json(event(1)));
  EXPECT_NE(requests[0].find("\r\nX-Orrery-Signature: " + webhook_signature("key", body) + "\r\n"),
            std::string::npos);
  EXPECT_EQ(until(sender, "a", "delivered", 2)["waiting"], 0);
  EXPECT_EQ(sender.deliveries("off")["delivered"], 0);
  EXPECT_TRUE(sender.deliveries("nobody").is_null());
}

TEST(WebhookSender, SignatureAsOthersComputeIt) {
  // printf 'body' | openssl dgst -sha384 -hmac key
  EXPECT_EQ(
      webhook_signature("key", "body"),
      "sha384=9af5e5a8f0a932a9f2d4d4f20b9465aa742b5ad36b921661b00d7ce1dea803702c214535e7ed29f5"
      "fcbc495b363c999c");
}

TEST(WebhookSender, TriesAgainUntilThereIsAReceipt) {
  Receiver receiver;
  receiver.answer_with("503 Service Unavailable");
  WebhookSender sender;
  sender.set({{"a", receiver.url(), "key", true, {}}});
  sender.publish({event(1), event(2)});
  (void)receiver.wait_for(1);
  EXPECT_EQ(until(sender, "a", "failed", 1)["lastError"], "the answer was 503");
  EXPECT_EQ(sender.deliveries("a")["waiting"], 2);
  receiver.answer_with("302 Found");
  EXPECT_EQ(until(sender, "a", "failed", 2)["lastError"], "the answer was 302") << "not followed";
  receiver.answer_with("200 OK");
  sender.set({{"a", receiver.url(), "key", true, {}}});  // whoever changes it need not wait
  EXPECT_TRUE(until(sender, "a", "delivered", 2)["lastError"].is_null());
}

TEST(WebhookSender, ADeadReceiverHoldsUpNobody) {
  Receiver alive;
  WebhookSender sender;
  const std::string nobody = "http://127.0.0.1:" + std::to_string(test::free_port()) + "/";
  sender.set({{"dead", nobody, "key", true, {}}, {"alive", alive.url(), "key", true, {}}});
  std::vector<control::ControllerEvent> many;
  for (std::uint64_t i = 0; i < WebhookSender::kWaitingMost + 20; ++i) many.push_back(event(i + 1));
  sender.publish({event(1)});
  until(sender, "dead", "failed", 1);
  EXPECT_EQ(until(sender, "alive", "delivered", 1)["delivered"], 1);
  sender.publish(many);
  const auto dead = sender.deliveries("dead");
  EXPECT_EQ(dead["waiting"], WebhookSender::kWaitingMost);
  EXPECT_EQ(dead["lost"], 21);
  sender.set({});
  EXPECT_TRUE(sender.deliveries("dead").is_null());
}

}  // namespace
}  // namespace orrery::service
