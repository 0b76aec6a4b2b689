// A Transport that only records: tests of networks and controller see what would have been sent,
// and say which identities are known. Random numbers are a fixed sequence.
#pragma once

#include <algorithm>
#include <map>
#include <set>

#include "control/transport.h"
#include "crypto/kdf.h"

namespace orrery::test {

class FakeTransport final : public control::Transport {
 public:
  struct Sent {
    wire::Address to;
    wire::Verb verb = wire::Verb::kNop;
    ByteVector payload;
    control::SendOptions options;
    bool reply = false;
  };

  explicit FakeTransport(crypto::SecretIdentity self) : self_(std::move(self)) {}

  [[nodiscard]] const crypto::SecretIdentity& self() const override { return self_; }

  void send(Now, wire::Address to, wire::Verb verb, Bytes payload,
            const control::SendOptions& options, control::Effects&) override {
    sent.push_back({to, verb, ByteVector(payload.begin(), payload.end()), options, false});
  }

  void reply(Now, const control::Incoming& to, wire::Verb verb, Bytes payload,
             control::Effects&) override {
    sent.push_back({to.source, verb, ByteVector(payload.begin(), payload.end()), {}, true});
  }

  [[nodiscard]] const wire::Identity* identity_of(wire::Address address) const override {
    const auto it = known.find(address);
    return it == known.end() ? nullptr : &it->second;
  }

  [[nodiscard]] std::optional<std::array<std::uint8_t, 16>> authenticate(
      wire::Address peer, Bytes message) const override {
    if (!known.contains(peer)) return std::nullopt;
    ByteVector key(16);
    store_be64(key.data(), std::min(peer, self_.address()).value);
    store_be64(key.data() + 8, std::max(peer, self_.address()).value);
    const crypto::Sha384 full = crypto::hmac_sha384(key, message);
    std::array<std::uint8_t, 16> tag;
    std::copy_n(full.begin(), tag.size(), tag.begin());
    return tag;
  }

  void request_identity(Now, wire::Address address, control::Effects&) override {
    asked.insert(address);
  }

  [[nodiscard]] std::vector<wire::Address> roots() const override { return root_list; }

  [[nodiscard]] wire::Address best_root(Now) const override {
    return root_list.empty() ? wire::Address{} : root_list.front();
  }

  [[nodiscard]] bool is_root(wire::Address address) const override {
    return std::find(root_list.begin(), root_list.end(), address) != root_list.end();
  }

  [[nodiscard]] bool self_is_root() const override { return is_self_root; }

  [[nodiscard]] int direct_latency(Now, wire::Address address) const override {
    const auto it = latency.find(address);
    return it == latency.end() ? -1 : it->second;
  }

  [[nodiscard]] bool path_confirmed(const control::Incoming&) const override { return confirmed; }

  void random(MutableBytes out) override {
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random_u64());
  }

  [[nodiscard]] std::uint64_t random_u64() override {
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return state_ >> 16;
  }

  /// What was sent with this verb, oldest first; `to` zero: to anybody.
  [[nodiscard]] std::vector<Sent> of(wire::Verb verb, wire::Address to = {}) const {
    std::vector<Sent> found;
    for (const Sent& s : sent) {
      if (s.verb == verb && (!to || s.to == to)) found.push_back(s);
    }
    return found;
  }

  std::vector<Sent> sent;
  std::map<wire::Address, wire::Identity> known;
  std::set<wire::Address> asked;
  std::vector<wire::Address> root_list;
  std::map<wire::Address, int> latency;
  bool is_self_root = false;
  bool confirmed = true;

 private:
  crypto::SecretIdentity self_;
  std::uint64_t state_ = 1;
};

}  // namespace orrery::test
