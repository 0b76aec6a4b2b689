#include "dataplane/control_link.h"

#include <sys/eventfd.h>
#include <unistd.h>

namespace orrery::dataplane {

Result<void> ControlLink::open(unsigned worker) {
  const std::string suffix = "_" + std::to_string(worker);
  for (auto [ring, name] :
       {std::pair{&raw, "orrery_raw"}, std::pair{&punt, "orrery_punt"},
        std::pair{&inject, "orrery_inject"}, std::pair{&deliver, "orrery_deliver"},
        std::pair{&pass, "orrery_pass"}, std::pair{&pass_frames, "orrery_passframes"}}) {
    if (auto r = ring->open(name + suffix, kRingSize); !r) return r;
  }
  control_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  worker_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (control_fd_ < 0 || worker_fd_ < 0)
    return failure(Errc::kIo, "no event descriptor for a worker");
  return {};
}

ControlLink::~ControlLink() {
  rte_mbuf* m = nullptr;
  for (auto* ring : {&raw, &punt, &inject, &deliver, &pass, &pass_frames}) {
    while (ring->pop(&m, 1) != 0) rte_pktmbuf_free(m);
  }
  if (control_fd_ >= 0) ::close(control_fd_);
  if (worker_fd_ >= 0) ::close(worker_fd_);
}

void ControlLink::signal(int fd) noexcept {
  const std::uint64_t one = 1;
  // A full counter means that the other side is woken already.
  [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
}

void ControlLink::clear(int fd) noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto read = ::read(fd, &count, sizeof count);
}

}  // namespace orrery::dataplane
