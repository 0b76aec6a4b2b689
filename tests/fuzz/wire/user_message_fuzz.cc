// USER_MESSAGE, REMOTE_TRACE, QOS_MEASUREMENT, PATH_NEGOTIATION_REQUEST.
#include "fuzz/wire/verb_fuzz.h"
#include "wire/verbs/user_message.h"

using namespace orrery;
using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes payload(data, size);
  const auto message = wire::decode_user_message(payload);
  check(message.has_value() == (size >= 8));
  if (message) check(message->data.size() == size - 8 && fuzz::within(payload, message->data));
  std::size_t traced = 0;
  wire::for_each_trace(payload, [&](Bytes trace) {
    check(!trace.empty() && trace.size() <= 10000 && fuzz::within(payload, trace));
    check(std::memchr(trace.data(), 0, trace.size()) == nullptr);
    traced += trace.size() + 1;
  });
  check(traced <= size);
  std::size_t records = 0;
  const bool whole =
      wire::for_each_qos_record(payload, [&](std::uint64_t, std::uint16_t) { ++records; });
  check(records == (whole ? size / 10 : 0));
  check(wire::decode_path_negotiation(payload).has_value() == (size == 2));
  return 0;
}
