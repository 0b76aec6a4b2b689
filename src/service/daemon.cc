#include "service/daemon.h"

#include <signal.h>
#include <sodium.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <stdexcept>
#include <thread>

#include "control/controller/api_v1.h"
#include "control/controller/controller.h"
#include "control/nonces.h"
#include "service/api_service.h"
#include "service/capture_stream.h"
#include "service/control_loop.h"
#include "service/controller_driver.h"
#include "service/controller_import.h"
#include "service/dpdk_log.h"
#include "service/event_hub.h"
#include "service/local_api.h"
#include "service/node_setup.h"
#include "service/port_mapping.h"
#include "service/postgres_store.h"
#include "service/standby.h"
#include "service/store_location.h"
#include "service/webhook_sender.h"

namespace orrery::service {
namespace {

/// No core dumps and no tracing by others: keys are in memory.
void harden() {
  ::prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::umask(077);
  const crypto::Secret first(crypto::SharedSecret{});  // the first of the pool: can it be locked?
  if (crypto::locked_memory().not_locked != 0) {
    spdlog::warn(
        "keys cannot be locked in memory and may be swapped to disk: raise the limit "
        "(LimitMEMLOCK=, ulimit -l) or give CAP_IPC_LOCK");
  }
}

int fail(const Error& error) {
  spdlog::critical("{}", error.text);
  return 1;
}

// What lies idle in a worker's own caches of free buffers (eal.cc) is nobody else's to use.
constexpr unsigned kWireMbufsOfHelper = 1024;
constexpr unsigned kFrameMbufsOfHelper = 256;
// What lies in the rings of one more queue of a device, each way.
constexpr unsigned kWireMbufsOfQueue = 1024;

/// The server of a shared store has let our lead go four seconds after it lost us
/// (postgres_store.h). It is asked every second, and may take two for an answer; we look every
/// second.
constexpr std::chrono::milliseconds kLeadUnconfirmed{3'000};

/// Half of the CPUs: signatures are what a controller does most, and not all it does.
unsigned signer_threads() {
  return std::clamp(std::thread::hardware_concurrency() / 2, 1u, 8u);
}

/// What a key of the configuration asks for cannot be had.
int refuse(const std::string& where, const std::string& key, const Error& error) {
  spdlog::critical("{}", complaint(where, key, error.text));
  return error.code == Errc::kIo || error.code == Errc::kPermission ? 1 : 2;
}

int serve(const Config& config, Home& home, dataplane::Pools& pools) {
  auto token = home.auth_token();
  if (!token) return fail(token.error());
  auto metrics_token = home.metrics_token();
  if (!metrics_token)
    spdlog::warn("{}; /metrics takes the other token only", metrics_token.error().text);
  auto options = node_options(home, config);
  if (!options) return fail(options.error());
  auto netlink = tap::Netlink::open();
  if (!netlink) return fail(netlink.error());

  dataplane::FastPathOptions fast;
  fast.self = options->identity.address();
  fast.permutation = control::permutation_key(options->identity);
  fast.nonce_floor = options->nonce_floor;
  fast.clamp_mss = config.clamp_mss;
  fast.refuse_nested = !config.nested;
  randombytes_buf(&fast.reassembly_key, sizeof fast.reassembly_key);
  randombytes_buf(&fast.rule_seed, sizeof fast.rule_seed);
  randombytes_buf(&fast.relay.key, sizeof fast.relay.key);
  randombytes_buf(&fast.punts.key, sizeof fast.punts.key);
  randombytes_buf(&dataplane::table_hash_key(), sizeof(SipKey));
  const auto replay_ids = config.replay_ids.value_or(
      dataplane::SeenSet::default_ids(static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) *
                                      static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))));
  std::unique_ptr<dataplane::SeenSet> seen;
  if (replay_ids != 0) {
    SipKey key;
    randombytes_buf(&key, sizeof key);
    auto made = dataplane::SeenSet::make(replay_ids, key);
    if (!made) return fail(made.error());
    seen = std::move(*made);
    fast.seen = seen.get();
    options->seen = seen.get();
  }
  fast.relay.set_rate(config.relay_rate);
  dataplane::Tables tables;
  if (auto r = tables.open(); !r) return fail(r.error());
  dataplane::Publisher publisher(tables);
  std::optional<SipKey> capture_key;
  if (config.capture) randombytes_buf(&capture_key.emplace(), sizeof(SipKey));
  auto workers = WorkerTeam::open(tables, pools, fast, config.idle_poll, capture_key);
  if (!workers) return fail(workers.error());

  control::Node node(std::move(*options));
  std::unique_ptr<RecordStore> store;
  const bool shared = config.controller && is_shared(config.store);  // by several controllers
  std::unique_ptr<control::Controller> controller;
  std::unique_ptr<control::ApiV1> api;
  if (config.controller) {
    Result<std::vector<control::StoreWrite>> records;
    if (shared) {
      std::unique_ptr<PostgresStore> opened;
      auto waited = wait_for_lead(opened, config, home, node.self().address());
      if (!waited) return fail(waited.error());
      if (!*waited) return 0;
      records = std::move(**waited);
      store = std::move(opened);
    } else {
      auto opened = open_store(config);
      if (!opened) return fail(opened.error());
      store = std::move(*opened);
      records = store->load();
      if (!records) return fail(records.error());
    }
    controller = std::make_unique<control::Controller>(node);
    if (records->empty()) {
      // A home taken over from zerotier-one brings its controller along.
      auto imported = import_controller_records(home.path("controller.d"));
      if (!imported.records.empty()) {
        spdlog::info("controller.d: {} records taken over, {} files skipped",
                     imported.records.size(), imported.skipped.size());
        if (auto r = store->commit(imported.records); !r) return fail(r.error());
        *records = std::move(imported.records);
      }
    }
    api = std::make_unique<control::ApiV1>(*controller);
    for (const auto& record : *records) {
      if (!controller->load(record)) api->load(record);
    }
  }
  control::Networks networks(node, controller.get());
  networks.set_clamp_mss(config.clamp_mss);
  networks.set_refuse_nested(!config.nested);
  for (const BridgeConfig& bridge : config.bridges) {
    if (bridge.vlan_rules) networks.set_match_tags(bridge.network);
  }
  std::map<wire::NetworkId, std::vector<control::RateRule>> rates;
  for (const LimitConfig& limit : config.limits) rates[limit.network].push_back(limit.rule);
  for (auto& [network, rules] : rates) networks.set_rate_rules(network, std::move(rules));
  networks.set_station_limits(config.stations.per_port, config.stations.total);
  node.attach(&networks, controller.get());

  EventHub hub(controller ? controller->events().next_id(ControlLoop::now().wall) : 0);
  WebhookSender webhooks;
  std::uint64_t webhooks_of = 0;  // generation of the records
  if (api) api->set_deliveries([&](const std::string& id) { return webhooks.deliveries(id); });
  ControlLoop loop(config, home, pools, **workers, publisher, *netlink, node, networks);
  std::unique_ptr<ControllerDriver> driver;
  bool lost_lead = false;
  if (controller) {
    ControllerDriver::Hooks hooks;
    hooks.wake = [&] { loop.wake(); };
    hooks.tell = [&](const std::vector<control::ControllerEvent>& events) {
      if (webhooks_of != api->webhooks().generation()) {
        webhooks_of = api->webhooks().generation();
        webhooks.set(api->webhooks().all());
      }
      hub.publish(events);
      webhooks.publish(events);
    };
    hooks.refused = [](const Error& error) {
      spdlog::error("controller store: {}; the controller is suspended until it takes writes",
                    error.text);
    };
    hooks.resumed = [] { spdlog::info("controller store: takes writes again"); };
    driver = std::make_unique<ControllerDriver>(*controller, *store, node.self(), signer_threads(),
                                                std::move(hooks));
    loop.set_settle([&] { driver->settle(ControlLoop::now().mono); });
    loop.set_take_in([&](Now now, control::Effects& effects) {
      if (shared && !lost_lead && !driver->confirmed_within(kLeadUnconfirmed)) {
        spdlog::error(
            "controller store: the server is not there or does not answer; another controller may "
            "answer now, so this one stops");
        controller->suspend(true);
        lost_lead = true;
        loop.stop();
      }
      return driver->take_in(now, effects);
    });
    controller->set_local_delivery(
        [&](Now now, wire::NetworkId id, wire::Verb verb, Bytes payload, control::Effects& out) {
          if (verb == wire::Verb::kNetworkConfig) {
            networks.on_local_config(now, id, payload, out);
            return;
          }
          control::Incoming in;
          in.source = node.self().address();
          in.verb = verb;
          in.payload = payload;
          networks.on_packet(now, in, nullptr, out);
        });
  }
  std::vector<std::unique_ptr<UnderlayPort>> underlay_ports;
  for (const UnderlayPortConfig& port : config.ports) {
    auto opened = UnderlayPort::open(port, config.port, *netlink, pools,
                                     static_cast<std::uint16_t>((*workers)->size()));
    if (!opened) return refuse(port.where, opened.error().key, opened.error().error);
    spdlog::info("\"{}\" carries the underlay, mirror {}, MTU {}", port.device, port.mirror,
                 (*opened)->mtu());
    underlay_ports.push_back(std::move(*opened));
  }
  loop.set_underlay_ports(std::move(underlay_ports));
  std::map<std::string, std::vector<std::shared_ptr<dataplane::LanDevice>>> lan_devices;
  std::vector<ControlLoop::LanPortQueues> lan_ports;
  for (const BridgeConfig& bridge : config.bridges) {
    auto& queues = lan_devices[bridge.device];
    if (queues.empty()) {
      auto opened = dataplane::LanDevice::open(bridge.device, pools,
                                               static_cast<std::uint16_t>((*workers)->size()));
      if (!opened) return refuse(bridge.where, "bridge.device", opened.error());
      queues = std::move(*opened);
    }
    auto& ports = lan_ports.emplace_back();
    for (const auto& queue : queues) {
      auto port = dataplane::LanPort::open(queue, bridge.network, bridge.vlans);
      if (!port) return refuse(bridge.where, "bridge.vlan", port.error());
      ports.push_back(std::move(*port));
    }
  }
  if (!loop.set_lan_ports(std::move(lan_ports)))
    return fail(
        {Errc::kFull, "the static stations of [[bridge]] do not fit the table of stations"});
  std::unique_ptr<TcpRelay> relay;
  if (!config.tcp_relay.listen.empty()) {
    auto started = TcpRelay::start(config.tcp_relay, config.port);
    if (!started) return refuse(config.tcp_relay.where, "tcp_relay.listen", started.error());
    relay = std::move(*started);
    for (const wire::Endpoint& where : relay->listening())
      spdlog::info("TCP relay for nodes without UDP at {}", wire::to_string(where));
  }
  ApiService target(config, home, node, networks, controller.get(), driver.get(), api.get(), hub,
                    loop, **workers, relay.get());
  std::vector<dataplane::WorkerView> views;
  for (unsigned i = 0; i < (*workers)->size(); ++i) views.push_back((*workers)->view(i));
  const dataplane::Telemetry telemetry(std::move(views));
  LocalApi local_api(
      {*token, metrics_token.value_or(std::string())},
      [&](const std::function<void(ApiTarget&)>& run) {
        std::optional<ApiService::Awaited> awaited;
        const bool ran = loop.invoke([&](Now now, control::Effects& effects) {
          target.begin(now, effects);
          run(target);
          awaited = target.awaited();
        });
        if (awaited && !driver->wait(awaited->ticket) && awaited->changed) {
          throw std::runtime_error(
              "the record could not be stored yet; it is tried again, and changes are refused "
              "until it is");
        }
        return ran;
      },
      [&](const std::string& body) { return start_capture((*workers)->capture(), body); });
  if (auto r = home.write("zerotier-one.port", bytes_of(std::to_string(config.port))); !r)
    return fail(r.error());
  if (auto r = home.write("zerotier-one.pid", bytes_of(std::to_string(::getpid()))); !r)
    return fail(r.error());

  struct PidFile {
    Home& home;

    ~PidFile() { (void)home.remove("zerotier-one.pid"); }
  } const pid_file{home};

  HttpServer server;
  if (auto r = server.start(config.port, home.path("orrery.sock"),
                            [&](const HttpRequest& q) { return local_api.handle(q); });
      !r) {
    return fail(r.error());
  }

  (*workers)->launch();

  // Signals come as data to a thread of their own, which only asks the loop to stop.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  std::thread signals([&] {
    reset_affinity();
    int number = 0;
    ::sigwait(&set, &number);
    loop.stop();
  });

  spdlog::info("node {} on UDP port {}", wire::to_string(node.self().address()), config.port);
  std::optional<PortMapping> mapping;
  if (config.maps_port()) {
    mapping.emplace(
        config.port,
        [&](const std::vector<wire::Endpoint>& mapped) {
          loop.invoke([&](Now now, control::Effects&) { node.on_port_mappings(now, mapped); });
        },
        [](const std::string& text) { spdlog::info("{}", text); });
  }
  loop.run();
  mapping.reset();

  ::kill(::getpid(), SIGTERM);  // lets the signal thread go when the loop ended by itself
  signals.join();
  hub.close();
  if (driver) driver->close(ControlLoop::now());
  server.stop();
  (*workers)->stop();
  if (lost_lead) return -1;
  if (!loop.identity_collided()) return 0;
  spdlog::error(
      "a root says that our address belongs to somebody else; the identity is kept aside and a new "
      "one is made");
  if (auto r = home.set_identity_aside(); !r) return fail(r.error());
  return -1;
}

}  // namespace

Error start_again(char* const* arguments) {
  ::execv("/proc/self/exe", arguments);
  return {Errc::kIo, std::string("cannot start again: ") + std::strerror(errno)};
}

int run_daemon(const Config& config, char* const* arguments) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("orrery"));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  spdlog::set_level(spdlog::level::from_str(config.log_level));
  crypto::init();
  harden();
  for (const std::string& text : config.warnings) spdlog::warn("{}", text);

  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);  // before EAL starts threads: they inherit it
  ::signal(SIGPIPE, SIG_IGN);

  auto home = Home::open(config.home);
  if (!home) return fail(home.error());
  if (auto r = home->lock(); !r) return fail(r.error());
  if (auto r = home->identity(); !r) return fail(r.error());  // before anything is started

  take_dpdk_log();
  dataplane::EalOptions eal;
  eal.file_prefix = "orrery" + std::to_string(::getpid());
  eal.arguments = config.eal_arguments;
  eal.shared_config = config.pdump;
  eal.telemetry = config.telemetry;
  std::vector<std::string> devices;
  for (const UnderlayPortConfig& port : config.ports) devices.push_back(port.device);
  for (const BridgeConfig& bridge : config.bridges) {
    if (std::find(devices.begin(), devices.end(), bridge.device) == devices.end())
      devices.push_back(bridge.device);
  }
  int node = -1;  // of the first device that tells it
  for (const std::string& device : devices) {
    if (dataplane::is_pci_address(device)) eal.pci_devices.push_back(device);
    if (node < 0) node = dataplane::numa_node_of(device);
  }
  const auto placement = dataplane::place(dataplane::usable_cpus(), config.lcores, node);
  if (!placement) return refuse(config.lcores_where, "workers.lcores", placement.error());
  eal.placement = *placement;
  const auto helpers = static_cast<unsigned>(placement->workers.size() - 1);
  const auto queues = helpers * static_cast<unsigned>(devices.size());
  eal.wire_mbufs += helpers * kWireMbufsOfHelper + queues * kWireMbufsOfQueue;
  eal.frame_mbufs += helpers * kFrameMbufsOfHelper;
  for (const auto& cpus : placement->workers)
    spdlog::info("worker on CPU {}", dataplane::to_string(cpus));
  spdlog::info("control on CPU {}", dataplane::to_string(placement->control));
  auto pools = dataplane::start_eal(eal);
  if (!pools) return fail(pools.error());
  const int code = serve(config, *home, *pools);
  dataplane::stop_eal(*pools);
  if (code >= 0) return code;
  // Start over: with a new identity, or standing by.
  *home = Home::peek(config.home);
  return fail(start_again(arguments));
}

}  // namespace orrery::service
