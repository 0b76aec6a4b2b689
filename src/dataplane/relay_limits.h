// What a relaying worker remembers of those whose packets it sends on: how much, and of which pairs
// control has heard. Tables of fixed size, 0.6 MiB for each worker.
#pragma once

#include "base/siphash.h"
#include "dataplane/tables/pair_table.h"
#include "dataplane/tables/token_table.h"

namespace orrery::dataplane {

struct RelayOptions {
  SipKey key;
  /// Datagrams relayed for one endpoint: some 1.1 Gbit/s of full ones. Another root that relays to
  /// us is one source, too.
  Rate per_endpoint{100'000, 20'000};
  /// And for all of one /24 (IPv6: /48), where a stranger may have many endpoints.
  Rate per_prefix{400'000, 80'000};

  /// Datagrams a second for one endpoint, four times that for a prefix; 0: no limit.
  void set_rate(std::uint64_t per_second) {
    const auto rate = [](std::uint64_t n) {
      const std::uint64_t capped = std::min<std::uint64_t>(n, 4'000'000'000);
      return Rate{static_cast<std::uint32_t>(capped),
                  static_cast<std::uint32_t>(std::clamp<std::uint64_t>(capped / 5, 64, 4'000'000))};
    };
    per_endpoint = rate(per_second);
    per_prefix = rate(4 * per_second);
  }

  /// Of `workers`, among whom the endpoints of a prefix are spread; each endpoint is one worker's.
  void share_among(std::uint32_t workers) {
    per_prefix.per_second = std::max(per_prefix.per_second / workers, per_endpoint.per_second);
  }
};

struct RelayLimits {
  /// Control introduces a pair every 30 s at most; events are lost now and then.
  static constexpr Millis kPairInterval = 5'000;

  explicit RelayLimits(const RelayOptions& options)
      : key(options.key),
        endpoints(32'768, options.per_endpoint),
        prefixes(16'384, options.per_prefix),
        pairs(16'384, kPairInterval) {}

  SipKey key;
  TokenTable endpoints;
  TokenTable prefixes;
  PairTable pairs;
};

}  // namespace orrery::dataplane
