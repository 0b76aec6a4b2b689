// Keeps the kernel's own stack off an interface whose frames a DPDK device merely copies.
//
// net_af_packet leaves every frame to the kernel, too. The kernel would answer ARP and ping a
// second time and call the node's UDP port unreachable, since it knows the mirror's address as its
// own on every interface. Strict reverse-path filtering drops all IPv4 on an interface that has no
// address; IPv6 is switched off there. The settings of before come back when the object goes.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace orrery::service {

class QuietInterface {
 public:
  explicit QuietInterface(const std::string& interface);
  QuietInterface(const QuietInterface&) = delete;
  QuietInterface& operator=(const QuietInterface&) = delete;
  ~QuietInterface();

 private:
  void set(const std::string& file, const std::string& value);

  std::vector<std::pair<std::string, std::string>> before_;  // file, value
};

}  // namespace orrery::service
