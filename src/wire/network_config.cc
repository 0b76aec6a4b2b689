#include "wire/network_config.h"

#include <algorithm>

#include "wire/dictionary.h"

namespace orrery::wire {
namespace {

constexpr std::size_t kDnsDomainField = 128;  // bytes, NUL-padded

/// Reads items until the value ends; false when one is malformed. Stops silently at `limit` when
/// `stop_at_limit`.
template <typename T, typename Read>
bool read_all(Bytes value, std::size_t limit, bool stop_at_limit, std::vector<T>& items,
              Read read) {
  Reader r(value);
  while (r.remaining() != 0) {
    if (items.size() >= limit && stop_at_limit) return true;
    const auto item = read(r);
    if (!item) return false;
    if (items.size() < limit) items.push_back(*item);
  }
  return true;
}

std::optional<Route> read_route(Reader& r) {
  Route route;
  route.target = read_endpoint(r);
  route.via = read_endpoint(r);
  route.flags = r.u16();
  route.metric = r.u16();
  if (!r.ok()) return std::nullopt;
  return route;
}

std::optional<Endpoint> read_static_ip(Reader& r) {
  const Endpoint e = read_endpoint(r);
  if (!r.ok()) return std::nullopt;
  return e;
}

void read_dns(Bytes value, NetworkConfig& config) {
  Reader r(value);
  const Bytes domain = r.bytes(kDnsDomainField);
  if (!r.ok()) return;
  const auto end =
      std::find(domain.begin(), domain.begin() + (kDnsDomainField - 1), std::uint8_t{0});
  config.dns_domain.assign(domain.begin(), end);
  for (std::size_t i = 0; i < kMaxDnsServers && r.ok(); ++i) {
    const Endpoint server = read_endpoint(r);
    if (r.ok() && server) config.dns_servers.push_back(server);
  }
}

/// Text of a field with a size limit at the reader, bytes.
std::string limited_text(Bytes dictionary, std::string_view key, std::size_t limit) {
  std::string text = dictionary_text(dictionary, key).value_or("");
  text.resize(std::min({text.size(), limit, text.find('\0')}));
  return text;
}

/// Appends the bytes of all items under one key, when there are any.
template <typename T, typename WriteItem>
void write_list(DictionaryWriter& d, std::string_view key, const std::vector<T>& items,
                WriteItem write) {
  if (items.empty()) return;
  ByteVector all;
  ByteVector one(8192);
  for (const T& item : items) {
    Writer w(one);
    write(w, item);
    const Bytes written = w.written();
    all.insert(all.end(), written.begin(), written.end());
  }
  d.bytes(key, all);
}

}  // namespace

std::optional<NetworkConfig> decode_network_config(Bytes d) {
  NetworkConfig c;
  c.version = dictionary_u64(d, "v", 0);
  if (c.version < 6) return std::nullopt;
  c.network = NetworkId{dictionary_u64(d, "nwid", 0)};
  c.issued_to = Address{dictionary_u64(d, "id", 0) & 0xffffffffffULL};
  if (!c.network || !c.issued_to) return std::nullopt;
  c.timestamp = static_cast<std::int64_t>(dictionary_u64(d, "ts", 0));
  c.credential_max_delta = dictionary_u64(d, "ctmd", 0);
  c.revision = dictionary_u64(d, "r", 0);
  c.trace_target = Address{dictionary_u64(d, "tt", 0) & 0xffffffffffULL};
  c.trace_level = dictionary_u64(d, "tl", 0);
  c.flags = dictionary_u64(d, "f", 0);
  c.multicast_limit = dictionary_u64(d, "ml", 0);
  c.is_public = dictionary_u64(d, "t", 0) == 1;
  c.name = limited_text(d, "n", 127);
  c.mtu = static_cast<std::uint16_t>(
      std::clamp<std::uint64_t>(dictionary_u64(d, "mtu", kMtuDefault), kMtuMin, kMtuMax));

  if (const auto value = dictionary_bytes(d, "C"); value && !value->empty()) {
    Reader r(*value);
    c.com = read_com(r);
    if (!c.com) return std::nullopt;
  }
  // Malformed capabilities and tags: what was read so far is kept.
  if (const auto value = dictionary_bytes(d, "CAP")) {
    read_all(*value, kMaxCapabilities, true, c.capabilities, read_capability);
    std::stable_sort(c.capabilities.begin(), c.capabilities.end(),
                     [](const Capability& a, const Capability& b) { return a.id < b.id; });
  }
  if (const auto value = dictionary_bytes(d, "TAG")) {
    read_all(*value, kMaxTags, true, c.tags, read_tag);
    std::stable_sort(c.tags.begin(), c.tags.end(),
                     [](const Tag& a, const Tag& b) { return a.id < b.id; });
  }
  if (const auto value = dictionary_bytes(d, "COO")) {
    if (!read_all(*value, kMaxOwnerships, false, c.ownerships, read_ownership)) return std::nullopt;
  }
  if (const auto value = dictionary_bytes(d, "S")) {
    Reader r(*value);
    while (r.remaining() >= 8 && c.specialists.size() < kMaxSpecialists)
      c.specialists.push_back({r.u64()});
  }
  if (const auto value = dictionary_bytes(d, "RT")) {
    if (!read_all(*value, kMaxRoutes, true, c.routes, read_route)) return std::nullopt;
  }
  if (const auto value = dictionary_bytes(d, "I")) {
    if (!read_all(*value, kMaxStaticIps, true, c.static_ips, read_static_ip)) return std::nullopt;
  }
  if (const auto value = dictionary_bytes(d, "R")) {
    Reader r(*value);
    if (!read_rules(r, kMaxRules, c.rules)) return std::nullopt;
  }
  if (const auto value = dictionary_bytes(d, "DNS")) read_dns(*value, c);

  if (dictionary_raw(d, "ssov")) {
    c.sso_version = dictionary_u64(d, "ssov", 0);
    c.sso_enabled = dictionary_bool(d, "ssoe", false);
    if (*c.sso_version == 0 && c.sso_enabled) {
      c.authentication_url = limited_text(d, "aurl", 2047);
      c.authentication_expiry = dictionary_u64(d, "aexpt", 0);
    } else if (*c.sso_version == 1) {
      c.issuer_url = limited_text(d, "iurl", 2047);
      c.central_url = limited_text(d, "ssoce", 2047);
      c.nonce = limited_text(d, "sson", 127);
      c.state = limited_text(d, "ssos", 255);
      c.client_id = limited_text(d, "ssocid", 255);
      c.provider = limited_text(d, "ssop", 63);
      if (c.provider.empty()) c.provider = "default";
    }
  }
  return c;
}

ByteVector encode_network_config(const NetworkConfig& c) {
  DictionaryWriter d;
  d.u64("v", c.version);
  d.u64("nwid", c.network.value);
  d.u64("ts", static_cast<std::uint64_t>(c.timestamp));
  d.u64("ctmd", c.credential_max_delta);
  d.u64("r", c.revision);
  d.address("id", c.issued_to);
  d.address("tt", c.trace_target);
  d.u64("tl", c.trace_level);
  d.u64("f", c.flags);
  d.u64("ml", c.multicast_limit);
  d.u64("t", c.is_public ? 1 : 0);
  d.text("n", c.name);
  d.u64("mtu", c.mtu);
  if (c.com) {
    ByteVector bytes(512);
    Writer w(bytes);
    write_com(w, *c.com);
    d.bytes("C", w.written());
  }
  write_list(d, "CAP", c.capabilities, write_capability);
  write_list(d, "TAG", c.tags, write_tag);
  write_list(d, "COO", c.ownerships, write_ownership);
  write_list(d, "S", c.specialists, [](Writer& w, const Specialist& s) { w.u64(s.value); });
  write_list(d, "RT", c.routes, [](Writer& w, const Route& r) {
    write_endpoint(w, r.target);
    write_endpoint(w, r.via);
    w.u16(r.flags);
    w.u16(r.metric);
  });
  write_list(d, "I", c.static_ips, write_endpoint);
  write_list(d, "R", c.rules, write_rule);

  std::array<std::uint8_t, kDnsDomainField + kMaxDnsServers * 19> dns{};
  Writer w(dns);
  const std::size_t domain = std::min(c.dns_domain.size(), kDnsDomainField - 1);
  w.bytes(bytes_of(c.dns_domain).first(domain));
  w.zeros(kDnsDomainField - domain);
  for (std::size_t i = 0; i < kMaxDnsServers; ++i) {
    write_endpoint(w, i < c.dns_servers.size() ? c.dns_servers[i] : Endpoint{});
  }
  d.bytes("DNS", w.written());

  if (c.sso_version) {
    d.u64("ssov", *c.sso_version);
    d.boolean("ssoe", c.sso_enabled);
    if (*c.sso_version == 0 && c.sso_enabled) {
      if (!c.authentication_url.empty()) d.text("aurl", c.authentication_url);
      d.u64("aexpt", c.authentication_expiry);
    } else if (*c.sso_version == 1) {
      d.text("iurl", c.issuer_url);
      d.text("ssoce", c.central_url);
      d.text("sson", c.nonce);
      d.text("ssos", c.state);
      d.text("ssocid", c.client_id);
      d.text("ssop", c.provider);
    }
  }
  return d.encoded();
}

}  // namespace orrery::wire
