#include "tap/steering.h"

#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace orrery::tap {
namespace {

// Offsets in an Ethernet frame.
constexpr std::int32_t kEtherType = 12;
constexpr std::int32_t kIp = 14;
constexpr std::int32_t kIpv4Fragment = kIp + 6;
constexpr std::int32_t kIpv4Protocol = kIp + 9;
constexpr std::int32_t kIpv4Addresses = kIp + 12;
constexpr std::int32_t kIpv6Protocol = kIp + 6;
constexpr std::int32_t kIpv6Addresses = kIp + 8;
constexpr std::int32_t kIpv6Ports = kIp + 40;

constexpr std::int32_t kMultiplier = static_cast<std::int32_t>(0x9e3779b1);  // 2^32 / golden ratio

// Registers. A load leaves its value, big-endian bytes as a number, in kValue, wants the frame in
// kFrame, and ends the program with 0 where the frame is shorter.
constexpr std::uint8_t kValue = BPF_REG_0, kArgument = BPF_REG_1, kFrame = BPF_REG_6,
                       kHash = BPF_REG_7, kHeader = BPF_REG_8;

/// The program in the making.
class Assembler {
 public:
  void op(int code, std::uint8_t to, std::uint8_t from, std::int32_t value) {
    bpf_insn i{};
    i.code = static_cast<std::uint8_t>(code);
    i.dst_reg = to & 15;
    i.src_reg = from & 15;
    i.imm = value;
    program_.push_back(i);
  }

  void load(int size, std::int32_t offset) { op(BPF_LD | BPF_ABS | size, 0, 0, offset); }

  /// hash = (hash + value) x multiplier
  void mix() {
    op(BPF_ALU | BPF_ADD | BPF_X, kHash, kValue, 0);
    op(BPF_ALU | BPF_MUL | BPF_K, kHash, 0, kMultiplier);
  }

  void mix(int size, std::int32_t offset) {
    load(size, offset);
    mix();
  }

  /// A jump forward, to where land() is called for it.
  [[nodiscard]] std::size_t jump(int condition, std::int32_t value) {
    op(BPF_JMP | condition | BPF_K, kValue, 0, value);
    return program_.size() - 1;
  }

  void land(std::size_t jump) {
    program_[jump].off = static_cast<std::int16_t>(program_.size() - jump - 1);
  }

  [[nodiscard]] const std::vector<bpf_insn>& program() const { return program_; }

 private:
  std::vector<bpf_insn> program_;
};

/// Returns the hash of the frame's flow; the kernel takes it modulo the number of queues.
std::vector<bpf_insn> flow_hash() {
  constexpr std::int32_t kTcp = 6, kUdp = 17;
  Assembler a;
  std::vector<std::size_t> done;
  const auto unless_ports = [&] {  // the protocol is in kValue
    const std::size_t tcp = a.jump(BPF_JEQ, kTcp);
    const std::size_t udp = a.jump(BPF_JEQ, kUdp);
    done.push_back(a.jump(BPF_JA, 0));
    a.land(tcp);
    a.land(udp);
  };
  a.op(BPF_ALU64 | BPF_MOV | BPF_X, kFrame, kArgument, 0);
  a.op(BPF_ALU64 | BPF_MOV | BPF_K, kHash, 0, 0);
  a.load(BPF_H, kEtherType);
  const std::size_t v4 = a.jump(BPF_JEQ, 0x0800);
  const std::size_t v6 = a.jump(BPF_JEQ, 0x86dd);
  done.push_back(a.jump(BPF_JA, 0));

  a.land(v4);
  a.mix(BPF_W, kIpv4Addresses);
  a.mix(BPF_W, kIpv4Addresses + 4);
  a.load(BPF_H, kIpv4Fragment);
  done.push_back(a.jump(BPF_JSET, 0x3fff));  // more fragments, or an offset
  a.mix(BPF_B, kIpv4Protocol);
  unless_ports();
  a.load(BPF_B, kIp);
  a.op(BPF_ALU64 | BPF_AND | BPF_K, kValue, 0, 15);
  a.op(BPF_ALU64 | BPF_LSH | BPF_K, kValue, 0, 2);
  a.op(BPF_ALU64 | BPF_MOV | BPF_X, kHeader, kValue, 0);
  a.op(BPF_LD | BPF_IND | BPF_W, 0, kHeader, kIp);
  a.mix();
  done.push_back(a.jump(BPF_JA, 0));

  a.land(v6);
  for (std::int32_t word = 0; word < 8; ++word) a.mix(BPF_W, kIpv6Addresses + 4 * word);
  a.mix(BPF_B, kIpv6Protocol);
  unless_ports();
  a.mix(BPF_W, kIpv6Ports);

  for (const std::size_t jump : done) a.land(jump);
  a.op(BPF_ALU64 | BPF_MOV | BPF_X, kValue, kHash, 0);
  a.op(BPF_ALU | BPF_RSH | BPF_K, kValue, 0, 16);  // the low bits are mixed least
  a.op(BPF_JMP | BPF_EXIT, 0, 0, 0);
  return a.program();
}

}  // namespace

Result<void> steer_by_flow(int fd) {
  const std::vector<bpf_insn> program = flow_hash();
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insns = reinterpret_cast<std::uintptr_t>(program.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(program.size());
  attributes.license = reinterpret_cast<std::uintptr_t>("");
  const int loaded =
      static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes));
  if (loaded < 0)
    return failure(Errc::kIo, std::string("cannot load a BPF program: ") + std::strerror(errno));
  const bool set = ::ioctl(fd, TUNSETSTEERINGEBPF, &loaded) == 0;
  const int code = errno;
  ::close(loaded);  // the interface holds it
  if (!set)
    return failure(Errc::kIo, std::string("cannot steer a TAP's queues: ") + std::strerror(code));
  return {};
}

}  // namespace orrery::tap
