#include "sim/transcript.h"

#include <cstdio>

#include "wire/verbs/ok.h"

namespace orrery::sim {

namespace {

std::string seconds(Micros at) {
  char text[32];
  std::snprintf(text, sizeof text, "%9lld.%06lld", static_cast<long long>(at / 1'000'000),
                static_cast<long long>(at % 1'000'000));
  return text;
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return text;
}

std::string verb_name(std::uint8_t verb) {
  return upper(wire::verb_label(verb & wire::kVerbMask));
}

}  // namespace

Transcript::Transcript(Cast cast) : cast_(std::move(cast)) {}

Transcript::~Transcript() = default;

void Transcript::datagram(Micros now, const Flight& flight, Fate fate, HostId at) {
  std::uint8_t record[64] = {};
  store_be64(record, static_cast<std::uint64_t>(now));
  store_be32(record + 8, at);
  record[12] = static_cast<std::uint8_t>(fate);
  record[13] = flight.ttl;
  store_be16(record + 14, flight.from.port);
  store_be16(record + 16, flight.to.port);
  std::copy(flight.from.ip.begin(), flight.from.ip.end(), record + 18);
  std::copy(flight.to.ip.begin(), flight.to.ip.end(), record + 34);
  store_be64(record + 50, flight.digest);
  hash_ = siphash({hash_, 7}, record);
  ++events_;
  if (detail_ != Detail::kText) return;
  HostId to = at;
  if (to == kNobody) to = cast_.whose(flight.to);
  std::string what = wire::to_string(flight.from) + " > " + wire::to_string(flight.to) + " " +
                     describe(flight.payload) + ", " + std::to_string(flight.payload.size()) +
                     " bytes";
  lines_.push_back({now, flight.origin, to, fate, std::move(what)});
}

void Transcript::event(Micros now, HostId host, const std::string& what) {
  std::uint8_t record[12];
  store_be64(record, static_cast<std::uint64_t>(now));
  store_be32(record + 8, host);
  hash_ = siphash({hash_, 8}, record);
  hash_ = siphash({hash_, 9}, bytes_of(what));
  ++events_;
  if (detail_ == Detail::kText) lines_.push_back({now, host, kNobody, Fate::kEnd, what});
}

const crypto::PeerKeys* Transcript::keys_between(wire::Address a, wire::Address b) {
  const auto pair = std::minmax(a, b);
  const auto known = keys_.find(pair);
  if (known != keys_.end()) return known->second.get();
  std::unique_ptr<crypto::PeerKeys>& keys = keys_[pair];
  const crypto::SecretIdentity* one = cast_.identity(a);
  const crypto::SecretIdentity* other = cast_.identity(b);
  crypto::SharedSecret secret;
  if (one != nullptr && other != nullptr &&
      crypto::agree(one->private_key(), other->identity().public_key, secret)) {
    keys = std::make_unique<crypto::PeerKeys>(secret);
    keys->expand();
    burn(secret);
  }
  return keys.get();
}

std::string Transcript::describe(Bytes datagram) {
  switch (wire::kind_of(datagram)) {
    case wire::DatagramKind::kFragment: {
      const auto header = wire::decode_fragment_header(datagram);
      return "fragment " + std::to_string(header->number) + "/" + std::to_string(header->total);
    }
    case wire::DatagramKind::kPacket:
      break;
    default:
      return "no packet";
  }
  const auto header = wire::decode_packet_header(datagram);
  const std::string hops =
      header->hops() == 0 ? "" : " (" + std::to_string(header->hops()) + " hops)";
  const std::string between =
      wire::to_string(header->source) + " to " + wire::to_string(header->destination);
  if (header->fragmented()) return "head of fragments " + between + hops;
  const crypto::PeerKeys* keys = keys_between(header->source, header->destination);
  if (keys == nullptr) return "packet " + between + hops;
  if (armorer_ == nullptr) armorer_ = std::make_unique<crypto::Armorer>();
  ByteVector copy(datagram.begin(), datagram.end());
  crypto::DearmorJob job{copy.data(), static_cast<std::uint32_t>(copy.size()), keys, false};
  armorer_->dearmor({&job, 1});
  if (!job.ok) return "packet that does not open " + between + hops;
  const std::uint8_t verb = copy[wire::kVerbOffset];
  std::string name = verb_name(verb);
  const auto kind = static_cast<wire::Verb>(verb & wire::kVerbMask);
  if ((verb & wire::kVerbCompressed) != 0) {
    name += " compressed";
  } else if ((kind == wire::Verb::kOk || kind == wire::Verb::kError) &&
             copy.size() > wire::kHeaderSize) {
    name += "(" + verb_name(copy[wire::kHeaderSize]) + ")";
  }
  return name + hops;
}

std::string Transcript::line(const Line& line) const {
  std::string text = seconds(line.at) + " ";
  if (line.fate == Fate::kEnd) {
    return text + (line.from == kNobody ? "" : cast_.name(line.from) + ": ") + line.what;
  }
  text += line.from == kNobody ? "somebody" : cast_.name(line.from);
  text += line.to == kNobody || line.fate == Fate::kSent ? "" : " to " + cast_.name(line.to);
  return text + " " + fate_label(line.fate) + " " + line.what;
}

std::string Transcript::text() const {
  return tail(lines_.size());
}

std::string Transcript::tail(std::size_t lines) const {
  std::string text;
  for (std::size_t i = lines_.size() - std::min(lines, lines_.size()); i < lines_.size(); ++i)
    text += line(lines_[i]) + "\n";
  return text;
}

std::string Transcript::diagram(std::size_t most) const {
  std::string body;
  std::map<HostId, std::string> seen;
  const auto name = [&](HostId host) {
    if (host == kNobody) return std::string("nobody");
    seen[host] = cast_.name(host);
    return "h" + std::to_string(host);
  };
  std::size_t shown = 0;
  bool nobody = false;
  for (const Line& line : lines_) {
    if (line.fate == Fate::kSent) continue;
    if (shown++ == most) break;
    const std::string when = seconds(line.at);
    if (line.fate == Fate::kEnd) {
      if (line.from != kNobody)
        body += "  Note over " + name(line.from) + ": " + when + " " + line.what + "\n";
      continue;
    }
    nobody |= line.from == kNobody || line.to == kNobody;
    const std::string from = name(line.from);
    const std::string to = name(line.to);
    const bool arrived = line.fate == Fate::kDelivered;
    const std::size_t after = line.what.find(" > ");
    const std::size_t what = line.what.find(' ', after + 3);
    body += "  " + from + (arrived ? "->>" : "-x") + to + ": " + when + line.what.substr(what) +
            (arrived ? "" : std::string(", ") + fate_label(line.fate)) + "\n";
  }
  std::string text = "sequenceDiagram\n";
  for (const auto& [host, called] : seen)
    text += "  participant h" + std::to_string(host) + " as " + called + "\n";
  if (nobody) text += "  participant nobody\n";
  return text + body;
}

}  // namespace orrery::sim
