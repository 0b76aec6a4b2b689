#include "service/http_server.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <string_view>
#include <thread>

#include "control/controller/http.h"
#include "service/background.h"

namespace orrery::service {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kLookAround{1};             // for connections that live too long
constexpr std::chrono::milliseconds kAskStreamsAgain{20};  // late enough to cost nothing when quiet
constexpr std::size_t kConnectionMemory = 65'536;  // bytes; half of them become a chunk of a stream

/// Body of one request while it arrives.
struct Pending {
  std::string body;
  bool too_large = false;
};

int listen_tcp(int family, std::uint16_t port) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  int result = -1;
  if (family == AF_INET) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    result = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  } else {
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    address.sin6_addr = in6addr_loopback;
    result = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  if (result != 0 || ::listen(fd, 64) != 0) {
    const int code = errno;
    ::close(fd);
    errno = code;
    return -1;
  }
  return fd;
}

int listen_unix(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  ::unlink(path.c_str());  // the home directory is locked: nobody else serves it
  const mode_t before = ::umask(0117);
  const int bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::umask(before);
  if (bound != 0 || ::listen(fd, 64) != 0) {
    const int code = errno;
    ::close(fd);
    errno = code;
    return -1;
  }
  return fd;
}

std::string_view header(MHD_Connection* connection, const char* name) {
  const char* value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
  return value == nullptr ? std::string_view{} : std::string_view(value);
}

/// Host names under which a local client may reach us; anything else is a rebinding attempt.
bool local_host(std::string_view host) {
  if (host.empty()) return true;  // HTTP/1.0 and Unix-socket clients
  const std::size_t colon = host.front() == '[' ? host.find("]:") : host.rfind(':');
  if (colon != std::string_view::npos)
    host = host.substr(0, host.front() == '[' ? colon + 1 : colon);
  return host == "127.0.0.1" || host == "localhost" || host == "[::1]";
}

bool local_origin(std::string_view origin) {
  if (origin.empty()) return true;
  const std::size_t scheme = origin.find("://");
  return scheme != std::string_view::npos && local_host(origin.substr(scheme + 3));
}

}  // namespace

struct HttpServer::State {
  explicit State(HttpLimits bounds) : limits(bounds) {}

  const HttpLimits limits;
  Handler handler;
  std::vector<MHD_Daemon*> daemons;
  std::string socket_path;

  // Open connections and when their life ends. libmicrohttpd says that one is closed before it
  // closes the socket, so that a number in here is never somebody else's.
  std::mutex mutex;
  std::condition_variable changed;
  std::map<int, Clock::time_point> open;
  std::vector<MHD_Connection*> waiting;  // streams that had nothing to send
  bool stopping = false;
  std::thread attendant;

  static void on_connection(void* self, MHD_Connection* connection, void**,
                            MHD_ConnectionNotificationCode code) {
    auto* state = static_cast<State*>(self);
    const MHD_ConnectionInfo* info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info == nullptr) return;
    const std::lock_guard lock(state->mutex);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
      state->open[info->connect_fd] = Clock::now() + state->limits.life;
    } else {
      state->open.erase(info->connect_fd);
    }
  }

  /// One answer that is a stream, as libmicrohttpd reads it.
  struct Streaming {
    State* state;
    MHD_Connection* connection;
    int fd;
    std::shared_ptr<HttpStream> stream;

    static ssize_t read(void* self, std::uint64_t, char* out, std::size_t room) {
      auto* s = static_cast<Streaming*>(self);
      if (s->client_is_gone()) return MHD_CONTENT_READER_END_WITH_ERROR;
      const auto n = s->stream->read(out, room);
      if (!n) return MHD_CONTENT_READER_END_OF_STREAM;
      if (*n != 0) return static_cast<ssize_t>(*n);
      const std::lock_guard lock(s->state->mutex);
      if (s->state->stopping) return MHD_CONTENT_READER_END_OF_STREAM;
      MHD_suspend_connection(s->connection);
      s->state->waiting.push_back(s->connection);
      s->state->changed.notify_all();
      return 0;
    }

    static void end(void* self) { delete static_cast<Streaming*>(self); }

    /// Or will say nothing more, which ours does when it has enough.
    [[nodiscard]] bool client_is_gone() const {
      pollfd client{fd, POLLRDHUP, 0};
      return ::poll(&client, 1, 0) > 0;
    }
  };

  void resume_streams() {
    for (MHD_Connection* connection : waiting) MHD_resume_connection(connection);
    waiting.clear();
  }

  /// Shuts connections down that have lived too long; the server's thread then closes them. Has
  /// streams asked again that had nothing to send.
  void attend() {
    reset_affinity();
    std::unique_lock lock(mutex);
    while (!stopping) {
      if (waiting.empty()) {
        changed.wait_for(lock, kLookAround, [this] { return stopping || !waiting.empty(); });
      }
      if (!waiting.empty()) {
        changed.wait_for(lock, kAskStreamsAgain, [this] { return stopping; });
        resume_streams();
      }
      const Clock::time_point now = Clock::now();
      for (const auto& [fd, end] : open) {
        if (now >= end) ::shutdown(fd, SHUT_RDWR);
      }
    }
  }

  /// The handler's answer; whatever it throws must not reach the C library that calls us.
  HttpResponse answer(const HttpRequest& request) const {
    try {
      return handler(request);
    } catch (const std::exception& e) {
      return {500, control::bad_body(e.what()).body};
    } catch (...) {
      return {500, control::bad_body("unknown failure").body};
    }
  }

  MHD_Response* open_stream(MHD_Connection* connection, const HttpResponse& response) {
    const MHD_ConnectionInfo* info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info == nullptr) return nullptr;
    const int fd = info->connect_fd;
    {
      const std::lock_guard lock(mutex);
      open[fd] = Clock::time_point::max();
    }
    auto streaming = std::make_unique<Streaming>(this, connection, fd, response.stream);
    MHD_Response* r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, kConnectionMemory / 2, &Streaming::read,
                                          streaming.get(), &Streaming::end);
    if (r != nullptr) (void)streaming.release();  // end() deletes it
    return r;
  }

  MHD_Result respond(MHD_Connection* connection, const HttpResponse& response) {
    MHD_Response* r = response.stream != nullptr
                          ? open_stream(connection, response)
                          : MHD_create_response_from_buffer(response.body.size(),
                                                            const_cast<char*>(response.body.data()),
                                                            MHD_RESPMEM_MUST_COPY);
    if (r == nullptr) return MHD_NO;
    if (response.status != 204 && response.status != 304)
      MHD_add_response_header(r, "Content-Type", response.type.c_str());
    MHD_add_response_header(r, "Cache-Control", "no-store");
    for (const auto& [name, value] : response.headers)
      MHD_add_response_header(r, name.c_str(), value.c_str());
    MHD_add_response_header(r, "Connection", "close");
    const MHD_Result result =
        MHD_queue_response(connection, static_cast<unsigned>(response.status), r);
    MHD_destroy_response(r);
    return result;
  }

  static MHD_Result on_request(void* self, MHD_Connection* connection, const char* url,
                               const char* method, const char*, const char* data, std::size_t* size,
                               void** request_state) {
    auto* state = static_cast<State*>(self);
    if (*request_state == nullptr) {
      *request_state = new (std::nothrow) Pending;
      return *request_state == nullptr ? MHD_NO : MHD_YES;
    }
    auto* pending = static_cast<Pending*>(*request_state);
    if (*size != 0) {
      if (pending->body.size() + *size > state->limits.body) {
        pending->too_large = true;
        pending->body = std::string();
      } else {
        pending->body.append(data, *size);
      }
      *size = 0;
      return MHD_YES;
    }
    if (pending->too_large)
      return state->respond(connection, {413, control::bad_body("the body is too large").body});
    if (!local_host(header(connection, "Host")) || !local_origin(header(connection, "Origin"))) {
      return state->respond(connection, {403, "{}"});
    }
    HttpRequest request;
    request.method = method;
    request.path = url;
    request.body = std::move(pending->body);
    request.token = header(connection, "X-ZT1-Auth");
    if (request.token.empty()) {
      const std::string_view bearer = header(connection, "Authorization");
      if (bearer.size() > 7 && (bearer.starts_with("Bearer ") || bearer.starts_with("bearer "))) {
        request.token = bearer.substr(7);
      }
    }
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, &State::on_argument, &request);
    request.if_match = header(connection, "If-Match");
    request.if_none_match = header(connection, "If-None-Match");
    request.last_event_id = header(connection, "Last-Event-ID");
    request.token_in_url =
        MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "auth") != nullptr;
    return state->respond(connection, state->answer(request));
  }

  static MHD_Result on_argument(void* request, MHD_ValueKind, const char* key, const char* value) {
    static_cast<HttpRequest*>(request)->query[key] = value == nullptr ? "" : value;
    return MHD_YES;
  }

  static void on_end(void*, MHD_Connection*, void** request_state, MHD_RequestTerminationCode) {
    delete static_cast<Pending*>(*request_state);
    *request_state = nullptr;
  }
};

HttpServer::HttpServer(HttpLimits limits) : state_(std::make_unique<State>(limits)) {}

HttpServer::~HttpServer() {
  stop();
}

Result<void> HttpServer::start(std::uint16_t port, const std::string& socket_path,
                               Handler handler) {
  state_->handler = std::move(handler);
  std::vector<int> listeners;
  const int v4 = listen_tcp(AF_INET, port);
  if (v4 < 0) {
    const int code = errno;
    return failure(Errc::kIo,
                   "cannot listen on 127.0.0.1 port " + std::to_string(port) +
                       " (TCP): " + std::strerror(code) +
                       (code == EADDRINUSE ? ": another daemon has it, or connections of "
                                             "one that has ended linger for a minute"
                                           : ""));
  }
  listeners.push_back(v4);
  if (const int v6 = listen_tcp(AF_INET6, port); v6 >= 0) listeners.push_back(v6);
  const int local = listen_unix(socket_path);
  if (local < 0) {
    const Error error{Errc::kIo, "cannot listen on " + socket_path + ": " + std::strerror(errno)};
    for (const int fd : listeners) ::close(fd);
    return std::unexpected(error);
  }
  listeners.push_back(local);
  state_->socket_path = socket_path;
  // A thread's children are allowed the CPUs that it is allowed: the caller may be pinned to one.
  bool started = true;
  std::thread([&] {
    reset_affinity();
    for (const int fd : listeners) {
      MHD_Daemon* daemon =
          started ? MHD_start_daemon(
                        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_ALLOW_SUSPEND_RESUME,
                        0, nullptr, nullptr, &State::on_request, state_.get(),
                        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                        state_->limits.connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                        kConnectionMemory, MHD_OPTION_CONNECTION_TIMEOUT, state_->limits.silence,
                        MHD_OPTION_NOTIFY_CONNECTION, &State::on_connection, state_.get(),
                        MHD_OPTION_NOTIFY_COMPLETED, &State::on_end, nullptr, MHD_OPTION_END)
                  : nullptr;
      started = daemon != nullptr;
      if (started) {
        state_->daemons.push_back(daemon);
      } else {
        ::close(fd);
      }
    }
  }).join();
  state_->attendant = std::thread([this] { state_->attend(); });
  if (started) return {};
  stop();
  return failure(Errc::kIo, "cannot start the HTTP server");
}

void HttpServer::stop() {
  if (state_->attendant.joinable()) {
    {
      const std::lock_guard lock(state_->mutex);
      state_->stopping = true;
      state_->resume_streams();  // a daemon with suspended connections cannot be stopped
    }
    state_->changed.notify_all();
    state_->attendant.join();
  }
  for (MHD_Daemon* daemon : state_->daemons) MHD_stop_daemon(daemon);
  state_->daemons.clear();
  if (!state_->socket_path.empty()) ::unlink(state_->socket_path.c_str());
  state_->socket_path.clear();
}

}  // namespace orrery::service
