// orreryd: the daemon. Exit codes: 0 clean exit, 1 failed, 2 usage or configuration.
#include <CLI/CLI.hpp>
#include <cstring>
#include <iostream>

#include "service/config.h"
#include "service/daemon.h"

int main(int argc, char** argv) {
  using namespace orrery;

  // What stands behind "--" belongs to DPDK's environment abstraction layer.
  int own = argc;
  service::CommandLine command_line;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--") != 0) continue;
    own = i;
    for (int j = i + 1; j < argc; ++j) command_line.eal_arguments.emplace_back(argv[j]);
    break;
  }

  CLI::App app{
      "orreryd: ZeroTier node, root and network controller with a DPDK data plane.\n"
      "Settings come from orrery.toml in the home directory; see docs/configuration.md."};
  std::string home, config_file;
  std::uint16_t port = 0;
  auto* home_option = app.add_option("--home", home, "home directory (default: /var/lib/orrery)");
  auto* config_option = app.add_option("--config", config_file,
                                       "configuration file (default: orrery.toml in the home)");
  auto* port_option =
      app.add_option("--port", port, "UDP port, and TCP port of the local API (default: 9993)")
          ->check(CLI::Range(1, 65535));
  app.footer(
      "Arguments behind -- go to DPDK's EAL. Exit codes: 0 clean exit, 1 failed, 2 usage or "
      "configuration.");
  app.set_version_flag("-v,--version", ORRERY_VERSION);
  try {
    app.parse(own, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::cerr << "orreryd: " << error.what() << " (see orreryd --help)\n";
    return 2;
  }
  if (home_option->count() != 0) command_line.home = home;
  if (config_option->count() != 0) command_line.config_file = config_file;
  if (port_option->count() != 0) command_line.port = port;

  const auto config = service::load_config(command_line);
  if (!config) {
    std::cerr << "orreryd: " << config.error().text << '\n';
    return 2;
  }
  return service::run_daemon(*config, argv);
}
