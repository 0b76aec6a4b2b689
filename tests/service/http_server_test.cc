// The HTTP server: who may connect, what a request may hold, and that no client can hold it up.
#include "service/http_server.h"

#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <sched.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "http_probe.h"

namespace orrery::service {
namespace {

using test::body_of;
using test::connect_tcp;
using test::connect_unix;
using test::exchange;
using test::status_of;
using namespace std::chrono_literals;

class HttpServerTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/orrery-http-test.XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    port_ = test::free_port();
  }

  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  void start(HttpLimits limits = {}) {
    server_ = std::make_unique<HttpServer>(limits);
    const auto started = server_->start(port_, socket(), [this](const HttpRequest& request) {
      const std::lock_guard lock(mutex_);
      last_ = request;
      ++calls_;
      return handler_(request);
    });
    ASSERT_TRUE(started) << started.error().text;
  }

  [[nodiscard]] std::string socket() const { return directory_ + "/orrery.sock"; }

  std::string ask(const std::string& request) { return exchange(connect_tcp(port_), request); }

  std::string get(const std::string& target, const std::string& headers = {}) {
    return ask("GET " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers + "\r\n");
  }

  std::string directory_;
  std::uint16_t port_ = 0;
  std::unique_ptr<HttpServer> server_;
  std::mutex mutex_;
  HttpRequest last_;
  std::atomic<int> calls_ = 0;
  std::function<HttpResponse(const HttpRequest&)> handler_ = [](const HttpRequest&) {
    return HttpResponse{200, "{}"};
  };
};

TEST_F(HttpServerTest, TheTokenComesFromHeadersOnly) {
  start();
  EXPECT_EQ(status_of(get("/status", "X-ZT1-Auth: one\r\n")), 200);
  EXPECT_EQ(last_.token, "one");
  EXPECT_FALSE(last_.token_in_url);
  get("/status", "Authorization: Bearer two\r\n");
  EXPECT_EQ(last_.token, "two");
  get("/status", "X-ZT1-Auth: one\r\nAuthorization: Bearer two\r\n");
  EXPECT_EQ(last_.token, "one");
  get("/status", "Authorization: Basic two\r\n");
  EXPECT_EQ(last_.token, "");
  get("/status?auth=three");
  EXPECT_EQ(last_.token, "");
  EXPECT_TRUE(last_.token_in_url);
  EXPECT_EQ(last_.path, "/status");
}

/// Parts that a test hands out one by one.
class Parts final : public HttpStream {
 public:
  ~Parts() override { gone = true; }

  std::optional<std::size_t> read(char* out, std::size_t room) override {
    const std::lock_guard lock(mutex);
    if (parts.empty()) return over ? std::nullopt : std::optional<std::size_t>(0);
    const std::string part = parts.front();
    EXPECT_GE(room, 16384u);
    part.copy(out, room);
    parts.erase(parts.begin());
    return part.size();
  }

  void add(const std::string& part, bool last = false) {
    const std::lock_guard lock(mutex);
    if (!part.empty()) parts.push_back(part);
    over = last;
  }

  static inline std::atomic<bool> gone;

 private:
  std::mutex mutex;
  std::vector<std::string> parts;
  bool over = false;
};

/// What comes until `text` holds `part`.
void await(int fd, std::string& text, const std::string& part) {
  char chunk[4096];
  while (text.find(part) == std::string::npos) {
    const ssize_t n = ::recv(fd, chunk, sizeof chunk, 0);
    ASSERT_GT(n, 0) << "no " << part << " in " << text;
    text.append(chunk, static_cast<std::size_t>(n));
  }
}

constexpr const char* kGetStream = "GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

TEST_F(HttpServerTest, AStreamComesChunkByChunkAndOutlivesOtherConnections) {
  start({.silence = 5, .life = 1s});
  auto parts = std::make_shared<Parts>();
  Parts::gone = false;
  handler_ = [&](const HttpRequest& request) {
    return request.path == "/stream" ? HttpResponse{200, {}, "text/plain", parts}
                                     : HttpResponse{200, "other"};
  };
  const int fd = connect_tcp(port_);
  test::send_all(fd, kGetStream);
  std::string text;
  parts->add("first");
  await(fd, text, "\r\n5\r\nfirst\r\n");
  EXPECT_EQ(body_of(get("/")), "other") << "others are answered in between";
  std::this_thread::sleep_for(1500ms);  // longer than a connection may live, silent
  parts->add("second");
  await(fd, text, "6\r\nsecond\r\n");
  parts->add(std::string(8192, 'x'), true);
  text += test::rest_of(fd);
  EXPECT_TRUE(text.ends_with("x\r\n0\r\n\r\n"));
  parts.reset();
  for (int i = 0; i < 5000 && !Parts::gone; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(Parts::gone);
}

TEST_F(HttpServerTest, AStreamEndsWhenItsClientIsGoneOrTheServerStops) {
  start();
  for (const bool client_goes : {true, false}) {
    Parts::gone = false;
    auto parts = std::make_shared<Parts>();
    {
      const std::lock_guard lock(mutex_);
      handler_ = [&parts](const HttpRequest&) {
        return HttpResponse{200, {}, "text/plain", std::move(parts)};
      };
    }
    Parts* const stream = parts.get();
    const int fd = connect_tcp(port_);
    test::send_all(fd, kGetStream);
    stream->add("first");
    std::string text;
    await(fd, text, "first");
    if (client_goes) {
      ::close(fd);
      for (int i = 0; i < 5000 && !Parts::gone; ++i) std::this_thread::sleep_for(1ms);
    } else {
      server_->stop();
      ::close(fd);
    }
    EXPECT_TRUE(Parts::gone) << client_goes;
  }
}

TEST_F(HttpServerTest, OtherHostsAndOriginsAreRefused) {
  start();
  const auto with = [&](const std::string& headers) {
    return status_of(ask("GET / HTTP/1.1\r\n" + headers + "\r\n"));
  };
  const std::string port = std::to_string(port_);
  for (const std::string& host :
       {std::string("127.0.0.1"), "127.0.0.1:" + port, std::string("localhost"),
        "localhost:" + port, std::string("[::1]"), "[::1]:" + port}) {
    EXPECT_EQ(with("Host: " + host + "\r\n"), 200) << host;
  }
  for (const char* host : {"example.com", "127.0.0.1.example.com", "localhost.example.com:80",
                           "192.0.2.1", "[::2]", "127.0.0.1:80:example.com"}) {
    EXPECT_EQ(with(std::string("Host: ") + host + "\r\n"), 403) << host;
  }
  EXPECT_EQ(with("Host: localhost\r\nOrigin: http://localhost:" + port + "\r\n"), 200);
  for (const char* origin : {"null", "http://example.com", "https://localhost.example.com"}) {
    EXPECT_EQ(with(std::string("Host: localhost\r\nOrigin: ") + origin + "\r\n"), 403) << origin;
  }
}

TEST_F(HttpServerTest, ListensOnLoopbackAndAUnixSocketOnly) {
  start();
  ifaddrs* all = nullptr;
  ASSERT_EQ(::getifaddrs(&all), 0);
  for (const ifaddrs* a = all; a != nullptr; a = a->ifa_next) {
    if (a->ifa_addr == nullptr || a->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN] = {};
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(a->ifa_addr)->sin_addr, text,
                sizeof text);
    const std::string ip = text;
    if (ip.starts_with("127.")) continue;
    EXPECT_EQ(connect_tcp(port_, ip.c_str()), -1) << ip;
  }
  ::freeifaddrs(all);
  EXPECT_EQ(connect_tcp(port_, "127.0.0.2"), -1);

  struct stat info{};
  ASSERT_EQ(::stat(socket().c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777, 0660u);
  EXPECT_EQ(status_of(exchange(connect_unix(socket()),
                               "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")),
            200);
  server_->stop();
  EXPECT_FALSE(std::filesystem::exists(socket()));
  EXPECT_EQ(connect_tcp(port_), -1);
}

TEST_F(HttpServerTest, AStaleSocketIsReplacedAndAPortInUseIsAnError) {
  start();
  HttpServer second;
  const auto r = second.start(port_, directory_ + "/other.sock", handler_);
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().text.find(std::to_string(port_)), std::string::npos) << r.error().text;
  HttpServer third;
  EXPECT_TRUE(third.start(test::free_port(), socket(), handler_));
}

TEST_F(HttpServerTest, WhatAHandlerThrowsBecomes500) {
  start();
  handler_ = [](const HttpRequest&) -> HttpResponse {
    throw std::runtime_error("a \"reason\" with \xff in it");
  };
  const std::string answer = get("/status");
  EXPECT_EQ(status_of(answer), 500);
  EXPECT_NE(body_of(answer).find("reason"), std::string::npos) << answer;
  handler_ = [](const HttpRequest&) -> HttpResponse { throw 1; };
  EXPECT_EQ(status_of(get("/status")), 500);
  handler_ = [](const HttpRequest&) { return HttpResponse{200, "{}"}; };
  EXPECT_EQ(status_of(get("/status")), 200);
}

TEST_F(HttpServerTest, BodiesAreBounded) {
  start();
  const auto post = [&](std::size_t size) {
    return status_of(ask("POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                         std::to_string(size) + "\r\n\r\n" + std::string(size, ' ')));
  };
  EXPECT_EQ(post(1u << 20), 200);
  EXPECT_EQ(last_.body.size(), 1u << 20);
  const int before = calls_;
  EXPECT_EQ(post((1u << 20) + 1), 413);
  EXPECT_EQ(post(10u << 20), 413);
  EXPECT_EQ(calls_, before);
  EXPECT_GE(status_of(get("/" + std::string(100'000, 'x'))), 400);
}

TEST_F(HttpServerTest, SilentClientsAreClosedAndLeaveTheOtherListenersAlone) {
  start({.connections = 4, .silence = 1});
  std::vector<int> silent;
  for (int i = 0; i < 12; ++i) silent.push_back(connect_tcp(port_));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(
      status_of(exchange(connect_unix(socket()), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")),
      200);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 900ms);
  int status = 0;
  while (status != 200 && std::chrono::steady_clock::now() - begin < 20s)
    status = status_of(get("/"));
  EXPECT_EQ(status, 200);
  for (const int fd : silent) ::close(fd);
}

TEST_F(HttpServerTest, ATricklingClientIsClosed) {
  start({.silence = 5, .life = 1s});
  const int fd = connect_tcp(port_);
  const auto begin = std::chrono::steady_clock::now();
  const std::string line =
      "GET / HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
  bool closed = false;
  for (std::size_t i = 0; !closed && i < line.size(); ++i) {
    closed = ::send(fd, &line[i], 1, MSG_NOSIGNAL) <= 0;
    char byte = 0;
    std::this_thread::sleep_for(100ms);
    closed = closed || ::recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
  }
  EXPECT_TRUE(closed);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 4s);
  ::close(fd);
  EXPECT_EQ(status_of(get("/")), 200);
}

TEST_F(HttpServerTest, ItsThreadsMayRunOnEveryCpuThoughTheCallerIsPinned) {
  cpu_set_t all;
  ASSERT_EQ(::sched_getaffinity(0, sizeof all, &all), 0);
  if (CPU_COUNT(&all) < 2) GTEST_SKIP() << "needs two CPUs";
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  start();
  std::atomic<int> allowed = 0;
  handler_ = [&](const HttpRequest&) {
    cpu_set_t set;
    ::sched_getaffinity(0, sizeof set, &set);
    allowed = CPU_COUNT(&set);
    return HttpResponse{200, "{}"};
  };
  EXPECT_EQ(status_of(get("/")), 200);
  cpu_set_t own;
  ::sched_getaffinity(0, sizeof own, &own);
  EXPECT_EQ(CPU_COUNT(&own), 1);
  ::sched_setaffinity(0, sizeof all, &all);
  EXPECT_GE(allowed, 2);
}

}  // namespace
}  // namespace orrery::service
