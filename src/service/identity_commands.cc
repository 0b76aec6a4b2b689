#include "service/identity_commands.h"

#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>

#include "crypto/identity_work.h"
#include "crypto/kdf.h"
#include "service/home.h"

namespace orrery::service {
namespace {

std::optional<std::string> file_content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

/// The argument itself when it looks like an identity, else the content of the file it names.
std::optional<wire::ParsedIdentity> identity_argument(const std::string& argument) {
  std::string text = argument;
  if (!(argument.size() > 32 && argument[10] == ':')) {
    const auto content = file_content(argument);
    if (!content) {
      std::cerr << "cannot read identity file " << argument << '\n';
      return std::nullopt;
    }
    text = *content;
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
    text.pop_back();
  auto parsed = wire::parse_identity(text);
  if (!parsed)
    std::cerr << argument << " is not an identity (address:0:public key[:private key])\n";
  return parsed;
}

/// Writes a file next to others of its kind, secrets with mode 0600.
bool write_file(const std::string& path, const std::string& content) {
  const std::size_t slash = path.rfind('/');
  const Home here = Home::peek(slash == std::string::npos ? "." : path.substr(0, slash + 1));
  const auto written =
      here.write(slash == std::string::npos ? path : path.substr(slash + 1), bytes_of(content));
  if (!written) std::cerr << written.error().text << '\n';
  return written.has_value();
}

int generate(const std::string& secret_file, const std::string& public_file,
             const std::string& vanity) {
  if (vanity.size() > 10 ||
      vanity.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
    std::cerr << "a vanity prefix is up to 10 hexadecimal digits, not \"" << vanity << "\"\n";
    return 2;
  }
  std::string wanted = vanity;
  for (char& c : wanted) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  crypto::SecretIdentity made = crypto::generate_identity();
  while (!wire::to_string(made.address()).starts_with(wanted)) made = crypto::generate_identity();
  const std::string secret = wire::to_string(made.identity(), made.private_key());
  if (secret_file.empty()) {
    std::cout << secret;
    return 0;
  }
  if (!write_file(secret_file, secret)) return 1;
  std::cout << secret_file << " written\n";
  if (!public_file.empty()) {
    if (!write_file(public_file, wire::to_string(made.identity()))) return 1;
    std::cout << public_file << " written\n";
  }
  return 0;
}

int verify(const std::string& identity, const std::string& file, const std::string& signature) {
  const auto who = identity_argument(identity);
  const auto message = file_content(file);
  if (!who) return 1;
  if (!message) {
    std::cerr << "cannot read " << file << '\n';
    return 1;
  }
  std::string text = signature;
  if (const auto content = file_content(signature)) text = *content;
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
    text.pop_back();
  const auto bytes = from_hex(text);
  if (bytes && bytes->size() == 96 &&
      crypto::verify(who->identity.public_key, bytes_of(*message), *bytes)) {
    std::cout << file << " signature valid\n";
    return 0;
  }
  std::cerr << file << " signature check FAILED\n";
  return 1;
}

}  // namespace

void add_identity_commands(CLI::App& app, int& exit_code) {
  CLI::App* group =
      app.add_subcommand("identity", "Make and check identities (files only, no daemon needed)");
  group->require_subcommand(1);
  auto arguments = std::make_shared<std::array<std::string, 3>>();
  auto& [a, b, c] = *arguments;

  CLI::App* make = group->add_subcommand(
      "generate", "New identity; prints the secret one when no file is named");
  make->add_option("SECRET", a, "file for the secret identity");
  make->add_option("PUBLIC", b, "file for the public identity");
  make->add_option(
      "VANITY", c,
      "hexadecimal digits that the address shall start with (about 16 times longer per digit)");
  make->callback([arguments, &exit_code] {
    exit_code = generate((*arguments)[0], (*arguments)[1], (*arguments)[2]);
  });

  CLI::App* check = group->add_subcommand("validate", "Full check of an address against its key");
  check->add_option("IDENTITY", a, "identity text or file")->required();
  check->callback([arguments, &exit_code] {
    const auto who = identity_argument((*arguments)[0]);
    const bool valid = who && crypto::validate(who->identity);
    (valid ? std::cout : std::cerr)
        << (*arguments)[0] << (valid ? " is a valid identity\n" : " FAILED validation.\n");
    exit_code = valid ? 0 : 1;
  });

  CLI::App* pub = group->add_subcommand("getpublic", "Print the public identity");
  pub->add_option("IDENTITY", a, "identity text or file")->required();
  pub->callback([arguments, &exit_code] {
    const auto who = identity_argument((*arguments)[0]);
    if (who) std::cout << wire::to_string(who->identity);
    exit_code = who ? 0 : 1;
  });

  CLI::App* print = group->add_subcommand(
      "fingerprint", "Print the SHA-384 of address and key, to compare out of band");
  print->add_option("IDENTITY", a, "identity text or file")->required();
  print->callback([arguments, &exit_code] {
    const auto who = identity_argument((*arguments)[0]);
    if (who) std::cout << to_hex(crypto::fingerprint(who->identity)) << '\n';
    exit_code = who ? 0 : 1;
  });

  CLI::App* sign = group->add_subcommand("sign", "Sign a file; prints 192 hexadecimal digits");
  sign->add_option("IDENTITY", a, "secret identity, text or file")->required();
  sign->add_option("FILE", b, "file to sign")->required();
  sign->callback([arguments, &exit_code] {
    const auto who = identity_argument((*arguments)[0]);
    const auto message = file_content((*arguments)[1]);
    exit_code = 1;
    if (!who) return;
    if (!who->has_private) {
      std::cerr << (*arguments)[0] << " holds no private key\n";
    } else if (!message) {
      std::cerr << "cannot read " << (*arguments)[1] << '\n';
    } else {
      std::cout << to_hex(
          crypto::sign(who->private_key, who->identity.public_key, bytes_of(*message)));
      exit_code = 0;
    }
  });

  CLI::App* check_signature = group->add_subcommand("verify", "Check a signature");
  check_signature->add_option("IDENTITY", a, "identity text or file")->required();
  check_signature->add_option("FILE", b, "file that was signed")->required();
  check_signature->add_option("SIGNATURE", c, "192 hexadecimal digits, or a file that holds them")
      ->required();
  check_signature->callback([arguments, &exit_code] {
    exit_code = verify((*arguments)[0], (*arguments)[1], (*arguments)[2]);
  });
}

}  // namespace orrery::service
