// Files and identities as arguments of commands. Every failure has been told on standard error, in
// one line, when a function here returns nothing or false.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "wire/identity.h"

namespace orrery::service {

/// Content of a file of at most 256 MiB.
std::optional<std::string> file_content(const std::string& path);

/// The argument itself when it looks like an identity, else the content of the file it names.
std::optional<wire::ParsedIdentity> identity_argument(const std::string& argument);

/// Replaces a file, durable and atomic, mode 0600: secrets may stand in it.
bool write_file(const std::string& path, Bytes content);

}  // namespace orrery::service
