// What tests of underlay ports share: pools, a namespace of their own, datagrams to be sent.
#pragma once

#include "dataplane/fixture.h"
#include "namespace.h"

namespace orrery::tap::test {

class PortTest : public dataplane::test::Dataplane {
 protected:
  void SetUp() override {
    Dataplane::SetUp();
    ORRERY_NEEDS_NAMESPACE();
  }

  /// As control and workers hand them to a port.
  static rte_mbuf* datagram(Bytes bytes, const wire::Endpoint& remote, fib::LocalSocket socket) {
    const dataplane::Pools& pools = dataplane::test::pools();
    rte_mbuf* m = dataplane::test::mbuf_of(bytes, bytes.size() < 3'000 ? pools.wire : pools.frame);
    dataplane::meta_of(m).remote = remote;
    dataplane::meta_of(m).socket = socket;
    return m;
  }

  template <typename Port>
  static void send(Port& from, std::vector<rte_mbuf*> burst) {
    from.send(burst.data(), static_cast<std::uint16_t>(burst.size()));
  }
};

}  // namespace orrery::tap::test
