#include "service/identity_commands.h"

#include <array>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "crypto/identity_work.h"
#include "crypto/kdf.h"
#include "service/cli_connection.h"
#include "service/command_files.h"

namespace orrery::service {
namespace {

using nlohmann::json;

int generate(const std::string& secret_file, const std::string& public_file,
             const std::string& vanity, bool as_json) {
  if (vanity.size() > 10 ||
      vanity.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
    std::cerr << "a vanity prefix is up to 10 hexadecimal digits, not \"" << vanity << "\"\n";
    return 2;
  }
  std::string wanted = vanity;
  for (char& c : wanted) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const crypto::SecretIdentity made = crypto::generate_identity(
      [&wanted](wire::Address address) { return wire::to_string(address).starts_with(wanted); });
  const std::string secret = wire::to_string(made.identity(), made.private_key());
  const std::string open = wire::to_string(made.identity());
  json result = {{"address", wire::to_string(made.address())}, {"publicIdentity", open}};
  if (secret_file.empty()) {
    result["secretIdentity"] = secret;
    if (!as_json) std::cout << secret;
  } else {
    if (!write_file(secret_file, bytes_of(secret))) return 1;
    result["secretFile"] = secret_file;
    if (!as_json) std::cout << secret_file << " written\n";
  }
  if (!public_file.empty()) {
    if (!write_file(public_file, bytes_of(open))) return 1;
    result["publicFile"] = public_file;
    if (!as_json) std::cout << public_file << " written\n";
  }
  if (as_json) print_json(result);
  return 0;
}

int verify(const std::string& identity, const std::string& file, const std::string& signature,
           bool as_json) {
  const auto who = identity_argument(identity);
  if (!who) return 1;
  const auto message = file_content(file);
  if (!message) return 1;
  constexpr std::size_t kDigits = 192;
  std::string text = signature;
  std::error_code error;
  if (text.size() != kDigits && std::filesystem::exists(signature, error)) {
    const auto content = file_content(signature);
    if (!content) return 1;
    text = *content;
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
    text.pop_back();
  const auto bytes = from_hex(text);
  const bool valid = bytes && bytes->size() == kDigits / 2 &&
                     crypto::verify(who->identity.public_key, bytes_of(*message), *bytes);
  if (as_json) {
    print_json(
        {{"address", wire::to_string(who->identity.address)}, {"file", file}, {"valid", valid}});
  } else {
    (valid ? std::cout : std::cerr)
        << file << (valid ? " signature valid\n" : " signature check FAILED\n");
  }
  return valid ? 0 : 1;
}

}  // namespace

void add_identity_commands(CLI::App& app, const bool& as_json, int& exit_code) {
  CLI::App* group = app.add_subcommand(
      "identity", "Make and check identities (files, no daemon needed), and pin them");
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
  make->callback([arguments, &as_json, &exit_code] {
    exit_code = generate((*arguments)[0], (*arguments)[1], (*arguments)[2], as_json);
  });

  // Commands that take one identity first; nothing more happens when there is none.
  const auto with_identity = [&](CLI::App* command, const char* help, auto run) {
    command->add_option("IDENTITY", a, help)->required();
    command->callback([arguments, &as_json, &exit_code, run] {
      auto who = identity_argument((*arguments)[0]);
      exit_code = who ? run(*arguments, *who, as_json) : 1;
      if (who) burn(who->private_key);
    });
  };
  using Arguments = std::array<std::string, 3>;
  constexpr const char* kTextOrFile = "identity text or file";

  with_identity(group->add_subcommand("validate", "Full check of an address against its key"),
                kTextOrFile,
                [](const Arguments& given, const wire::ParsedIdentity& who, bool json_wanted) {
                  const bool valid = crypto::validate(who.identity);
                  if (json_wanted) {
                    print_json({{"address", wire::to_string(who.identity.address)},
                                {"publicIdentity", wire::to_string(who.identity)},
                                {"valid", valid}});
                  } else {
                    (valid ? std::cout : std::cerr)
                        << given[0] << (valid ? " is a valid identity\n" : " FAILED validation.\n");
                  }
                  return valid ? 0 : 1;
                });

  with_identity(group->add_subcommand("getpublic", "Print the public identity"), kTextOrFile,
                [](const Arguments&, const wire::ParsedIdentity& who, bool json_wanted) {
                  const std::string text = wire::to_string(who.identity);
                  if (json_wanted) {
                    print_json({{"address", wire::to_string(who.identity.address)},
                                {"publicIdentity", text}});
                  } else {
                    std::cout << text;
                  }
                  return 0;
                });

  with_identity(
      group->add_subcommand("fingerprint",
                            "Print the SHA-384 of address and key, to compare out of band"),
      kTextOrFile, [](const Arguments&, const wire::ParsedIdentity& who, bool json_wanted) {
        const std::string hash = to_hex(crypto::fingerprint(who.identity));
        if (json_wanted) {
          print_json({{"address", wire::to_string(who.identity.address)}, {"fingerprint", hash}});
        } else {
          std::cout << hash << '\n';
        }
        return 0;
      });

  CLI::App* sign = group->add_subcommand("sign", "Sign a file; prints 192 hexadecimal digits");
  with_identity(sign, "secret identity, text or file",
                [](const Arguments& given, const wire::ParsedIdentity& who, bool json_wanted) {
                  if (!who.has_private) {
                    std::cerr << "the identity " << wire::to_string(who.identity.address)
                              << " holds no private key\n";
                    return 1;
                  }
                  // Signed under a foreign public half, two signatures would give the key away.
                  if (crypto::public_key_of(who.private_key) != who.identity.public_key) {
                    std::cerr << "the identity " << wire::to_string(who.identity.address)
                              << " is damaged: its keys do not belong together\n";
                    return 1;
                  }
                  const auto message = file_content(given[1]);
                  if (!message) return 1;
                  const std::string signature = to_hex(
                      crypto::sign(who.private_key, who.identity.public_key, bytes_of(*message)));
                  if (json_wanted) {
                    print_json({{"address", wire::to_string(who.identity.address)},
                                {"file", given[1]},
                                {"signature", signature}});
                  } else {
                    std::cout << signature;
                  }
                  return 0;
                });
  sign->add_option("FILE", b, "file to sign")->required();

  CLI::App* check_signature = group->add_subcommand("verify", "Check a signature");
  check_signature->add_option("IDENTITY", a, kTextOrFile)->required();
  check_signature->add_option("FILE", b, "file that was signed")->required();
  check_signature->add_option("SIGNATURE", c, "192 hexadecimal digits, or a file that holds them")
      ->required();
  check_signature->callback([arguments, &as_json, &exit_code] {
    exit_code = verify((*arguments)[0], (*arguments)[1], (*arguments)[2], as_json);
  });
}

}  // namespace orrery::service
