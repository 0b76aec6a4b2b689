// Result<T>: a value, or an Error whose text names the thing and its value.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace orrery {

enum class Errc {
  kInvalid,      // input that breaks a rule; the text says which
  kNotFound,     // no such thing
  kExists,       // already there
  kPermission,   // the system refused
  kIo,           // a file, socket or device failed
  kUnsupported,  // this build or machine cannot
  kFull,         // a fixed table or the disk has no room
};

struct Error {
  Errc code = Errc::kInvalid;
  std::string text;  // one sentence for a person
};

template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> failure(Errc code, std::string text) {
  return std::unexpected<Error>(Error{code, std::move(text)});
}

}  // namespace orrery
