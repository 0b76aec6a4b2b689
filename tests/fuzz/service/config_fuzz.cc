// orrery.toml and local.conf: any bytes give a configuration or an error, never a crash. The first
// byte picks the format.
#include "service/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  orrery::service::Config config;
  if ((data[0] & 1) != 0) {
    (void)orrery::service::apply_toml(text, "orrery.toml", config);
  } else {
    (void)orrery::service::apply_local_conf(text, "local.conf", config);
  }
  return 0;
}
