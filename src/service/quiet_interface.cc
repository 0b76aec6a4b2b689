#include "service/quiet_interface.h"

#include <fstream>

namespace orrery::service {

QuietInterface::QuietInterface(const std::string& interface) {
  set("/proc/sys/net/ipv4/conf/" + interface + "/rp_filter", "1");
  set("/proc/sys/net/ipv6/conf/" + interface + "/disable_ipv6", "1");
}

QuietInterface::~QuietInterface() {
  for (const auto& [file, value] : before_) std::ofstream(file) << value;
}

void QuietInterface::set(const std::string& file, const std::string& value) {
  std::string before;
  // A kernel without IPv6 has no such file, and nothing to keep quiet.
  if (!(std::ifstream(file) >> before) || before == value) return;
  if (std::ofstream(file) << value) before_.emplace_back(file, before);
}

}  // namespace orrery::service
