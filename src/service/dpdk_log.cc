#include "service/dpdk_log.h"

#include <rte_log.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

namespace orrery::service {
namespace {

spdlog::level::level_enum level_of(int dpdk) {
  if (dpdk <= static_cast<int>(RTE_LOG_ERR)) return spdlog::level::err;
  if (dpdk == static_cast<int>(RTE_LOG_WARNING)) return spdlog::level::warn;
  return spdlog::level::debug;
}

/// Called under the stream's lock with what one message of DPDK wrote.
ssize_t write_lines(void*, const char* data, std::size_t size) {
  const auto level = level_of(rte_log_cur_msg_loglevel());
  std::string_view rest(data, size);
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (!line.empty()) spdlog::log(level, "DPDK: {}", line);
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  return static_cast<ssize_t>(size);
}

}  // namespace

void take_dpdk_log() {
  cookie_io_functions_t functions{};
  functions.write = write_lines;
  std::FILE* stream = ::fopencookie(nullptr, "w", functions);
  if (stream != nullptr) rte_openlog_stream(stream);  // for the life of the process
}

}  // namespace orrery::service
