#include "service/command_files.h"

#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

#include "service/home.h"

namespace orrery::service {
namespace {

constexpr std::size_t kMostBytes = 256u << 20;

}  // namespace

std::optional<std::string> file_content(const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::string content;
  char chunk[65536];
  while (in) {
    in.read(chunk, sizeof chunk);
    content.append(chunk, static_cast<std::size_t>(in.gcount()));
    if (content.size() > kMostBytes) {
      std::cerr << path << " is larger than 256 MiB\n";
      return std::nullopt;
    }
  }
  if (in.eof()) return content;
  std::cerr << "cannot read " << path << ": " << std::strerror(errno == 0 ? EIO : errno) << '\n';
  return std::nullopt;
}

std::optional<wire::ParsedIdentity> identity_argument(const std::string& argument) {
  const bool is_text = argument.size() > 32 && argument[10] == ':';
  std::string text = argument;
  if (!is_text) {
    auto content = file_content(argument);
    if (!content) return std::nullopt;
    text = std::move(*content);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
    text.pop_back();
  auto parsed = wire::parse_identity(text);
  burn({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  if (!parsed) {
    std::cerr << (is_text ? std::string("the text") : argument)
              << " is not an identity (address:0:public key[:private key])\n";
  }
  return parsed;
}

bool write_file(const std::string& path, Bytes content) {
  const std::size_t slash = path.rfind('/');
  const Home here = Home::peek(slash == std::string::npos ? "." : path.substr(0, slash + 1));
  const auto written =
      here.write(slash == std::string::npos ? path : path.substr(slash + 1), content);
  if (!written) std::cerr << written.error().text << '\n';
  return written.has_value();
}

}  // namespace orrery::service
