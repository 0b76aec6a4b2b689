#include "service/standby.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <time.h>

#include "service/http_server.h"

namespace orrery::service {
namespace {

constexpr long kLookNanos = 250'000'000;  // between two tries
constexpr int kTriesPerConnect = 4;       // with a server that is not there: once a second

/// Waits a little. True: a signal that ends the daemon has come.
bool ended() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  const timespec pause{0, kLookNanos};
  return ::sigtimedwait(&set, nullptr, &pause) > 0;
}

HttpResponse stand_by(const HttpRequest& request) {
  if (request.path == "/health") return {200, R"({"online":false,"standby":true})"};
  return {
      503,
      R"({"error":503,"description":"this controller stands by: another one of its identity answers"})"};
}

}  // namespace

void RecordCopy::set(std::vector<control::StoreWrite> records) {
  records_.clear();
  update(std::move(records));
}

void RecordCopy::update(std::vector<control::StoreWrite> records) {
  for (control::StoreWrite& record : records) {
    const bool own = record.kind == control::RecordKind::kRecord;
    const Key key{record.kind, record.network, own ? record.member.value : record.id};
    if (record.json.empty()) {
      records_.erase(key);
    } else {
      records_[key] = std::move(record);
    }
  }
}

std::vector<control::StoreWrite> RecordCopy::all() const {
  std::vector<control::StoreWrite> records;
  for (const auto& [key, record] : records_) records.push_back(record);
  return records;
}

Result<std::optional<std::vector<control::StoreWrite>>> wait_for_lead(
    std::unique_ptr<PostgresStore>& store, const Config& config, Home& home,
    wire::Address identity) {
  RecordCopy copy;
  HttpServer api;
  bool loaded = false, told = false, complained = false;
  for (int tries = 0;; ++tries) {
    if (store == nullptr || store->lost()) {
      loaded = false;
      if (tries % kTriesPerConnect == 0) {
        auto again = PostgresStore::open(config.store, identity);
        if (again) {
          store = std::move(*again);
        } else if (!complained) {
          spdlog::error("{}; it is tried again", again.error().text);
          complained = true;
        }
      }
    }
    if (store != nullptr && !store->lost()) {
      complained = false;
      // First the lead and then the rest: what was written until then is read by it.
      const auto leads = store->try_lead();
      auto records = !loaded || (leads && *leads) ? store->load()
                     : store->notified()          ? store->changed()
                                                  : std::vector<control::StoreWrite>();
      if (leads && records) {
        if (!loaded || *leads) {
          copy.set(std::move(*records));
        } else {
          copy.update(std::move(*records));
        }
        loaded = true;
        if (*leads) return copy.all();
      } else {
        spdlog::error("{}", (leads ? records.error() : leads.error()).text);
      }
    }
    if (!told) {
      told = true;
      spdlog::info("another controller of this identity answers; this one stands by");
      if (auto r = home.write("zerotier-one.port", bytes_of(std::to_string(config.port))); !r)
        return std::unexpected(r.error());
      if (auto r = api.start(config.port, home.path("orrery.sock"), stand_by); !r)
        return std::unexpected(r.error());
    }
    if (ended()) return std::optional<std::vector<control::StoreWrite>>{};
  }
}

}  // namespace orrery::service
