// `orrery planet …` and `orrery moon …`.
#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "control/controller/json_text.h"
#include "crypto/curve.h"
#include "service/cli_connection.h"
#include "service/command_files.h"
#include "service/identity_commands.h"
#include "service/world_document.h"
#include "wire/world.h"

#include <sodium.h>

namespace orrery::service {
namespace {

using nlohmann::json;

struct SigningKey {
  wire::PrivateKey secret{};
  wire::PublicKey open{};
};

SigningKey new_key() {
  SigningKey key;
  crypto::init();
  randombytes_buf(key.secret.data(), key.secret.size());
  key.open = crypto::public_key_of(key.secret);
  return key;
}

/// The JSON object in a file; nothing, with a message, when there is none.
std::optional<json> object_in(const std::string& file) {
  const auto text = file_content(file);
  if (!text) return std::nullopt;
  auto object = control::parse_json(*text);
  if (object && object->is_object()) return object;
  std::cerr << file << " is not a JSON object\n";
  return std::nullopt;
}

/// Signs the world that a JSON file describes; says why not.
std::optional<wire::World> build_world(const json& object) {
  const auto wall = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  auto world = world_from_json(object, static_cast<std::uint64_t>(wall.count()));
  if (world) return std::move(*world);
  std::cerr << world.error().text << '\n';
  return std::nullopt;
}

json template_of(const std::vector<std::string>& identities,
                 const std::vector<std::vector<std::string>>& endpoints, const char* type,
                 const std::string& id) {
  SigningKey key = new_key();
  json roots = json::array();
  for (std::size_t i = 0; i < identities.size(); ++i) {
    roots.push_back({{"identity", identities[i]}, {"stableEndpoints", endpoints[i]}});
  }
  json object = {{"objtype", "world"},
                 {"worldType", type},
                 {"id", id},
                 {"roots", roots},
                 {"signingKey", to_hex(key.open)},
                 {"signingKey_SECRET", to_hex(key.secret)},
                 {"updatesMustBeSignedBy", to_hex(key.open)}};
  burn(key.secret);
  return object;
}

std::optional<std::string> public_identity(const std::string& argument) {
  auto parsed = identity_argument(argument);
  if (!parsed) return std::nullopt;
  burn(parsed->private_key);
  return wire::to_string(parsed->identity);
}

/// "IDENTITY=IP/port,IP/port" -> identity and endpoints.
struct RootArgument {
  std::string identity;
  std::vector<std::string> endpoints;
};

std::optional<RootArgument> root_argument(const std::string& text) {
  const std::size_t equals = text.find('=');
  const auto identity = public_identity(text.substr(0, equals));
  if (!identity) return std::nullopt;
  RootArgument root{*identity, {}};
  std::string_view rest =
      equals == std::string::npos ? std::string_view{} : std::string_view(text).substr(equals + 1);
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    const auto endpoint = wire::parse_endpoint(rest.substr(0, comma));
    if (!endpoint || endpoint->port == 0) {
      std::cerr << "expected IP/port after '=', not \"" << rest.substr(0, comma) << "\"\n";
      return std::nullopt;
    }
    root.endpoints.push_back(wire::to_string(*endpoint));
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  return root;
}

int create_planet(const std::string& file, const std::vector<std::string>& roots,
                  const std::string& id_text, bool as_json) {
  std::vector<std::string> identities;
  std::vector<std::vector<std::string>> endpoints;
  for (const std::string& text : roots) {
    const auto root = root_argument(text);
    if (!root) return 2;
    identities.push_back(root->identity);
    endpoints.push_back(root->endpoints);
  }
  std::string id = id_text;
  if (id.empty()) {
    std::uint64_t number = 0;
    crypto::init();
    while (number == 0 || number == 149604618)
      randombytes_buf(&number, sizeof number);  // neither null nor Earth
    id = wire::to_string(wire::NetworkId{number});
  }
  const json object = template_of(identities, endpoints, "planet", id);
  const auto world = build_world(object);
  if (!world || !write_file(file + ".json", bytes_of(control::json_text(object, 1))) ||
      !write_file(file, wire::encode_world(*world)))
    return 1;
  if (as_json) {
    print_json({{"file", file},
                {"keyFile", file + ".json"},
                {"id", wire::to_string(wire::NetworkId{world->id})},
                {"timestamp", world->timestamp}});
  } else {
    std::cout << file << " written; " << file
              << ".json holds the signing key for later revisions: keep it safe\n";
  }
  return 0;
}

int sign_world(const std::string& json_file, const std::string& out, bool as_json) {
  const auto object = object_in(json_file);
  const auto world = object ? build_world(*object) : std::nullopt;
  if (!world) return 1;
  const std::string file =
      out.empty() ? wire::to_string(wire::NetworkId{world->id}) + ".moon" : out;
  if (!write_file(file, wire::encode_world(*world))) return 1;
  if (as_json) {
    print_json({{"file", file},
                {"id", wire::to_string(wire::NetworkId{world->id})},
                {"timestamp", world->timestamp}});
  } else {
    std::cout << "wrote " << file << " (signed world with timestamp " << world->timestamp << ")\n";
  }
  return 0;
}

int inspect(const std::string& file) {
  const auto content = file_content(file);
  if (!content) return 1;
  Reader reader(bytes_of(*content));
  const auto world = wire::read_world(reader);
  if (!world) {
    std::cerr << file << " is not a planet or moon\n";
    return 1;
  }
  json roots = json::array();
  for (const auto& root : world->roots) {
    json endpoints = json::array();
    for (const auto& e : root.endpoints) endpoints.push_back(wire::to_string(e));
    roots.push_back({{"identity", wire::to_string(root.identity)}, {"stableEndpoints", endpoints}});
  }
  const bool own =
      crypto::verify(world->update_key, wire::world_signed_bytes(*world), world->signature);
  print_json({{"worldType", world->type == wire::World::Type::kPlanet ? "planet" : "moon"},
              {"id", wire::to_string(wire::NetworkId{world->id})},
              {"timestamp", world->timestamp},
              {"updatesMustBeSignedBy", to_hex(world->update_key)},
              {"signature", to_hex(world->signature)},
              {"signedByOwnKey", own},
              {"roots", roots}});
  return 0;
}

int rotate(const std::string& json_file, bool as_json) {
  auto read = object_in(json_file);
  if (!read) return 1;
  json& object = *read;
  const std::string before = control::json_text(object, 1);
  SigningKey next = new_key();
  object["updatesMustBeSignedBy"] = to_hex(next.open);
  const auto world = build_world(object);
  if (!world) return 1;
  std::string file = json_file;
  if (file.ends_with(".json")) file.resize(file.size() - 5);
  object["signingKey"] = to_hex(next.open);
  object["signingKey_SECRET"] = to_hex(next.secret);
  burn(next.secret);
  // Whatever fails between two writes, both keys are on disk.
  if (!write_file(json_file + ".previous", bytes_of(before)) ||
      !write_file(json_file, bytes_of(control::json_text(object, 1))) ||
      !write_file(file, wire::encode_world(*world)))
    return 1;
  if (as_json) {
    print_json({{"file", file},
                {"keyFile", json_file},
                {"id", wire::to_string(wire::NetworkId{world->id})},
                {"timestamp", world->timestamp}});
  } else {
    std::cout << file << " written, signed by the old key; " << json_file << " holds the new one, "
              << json_file << ".previous the old\n";
  }
  return 0;
}

}  // namespace

void add_world_commands(CLI::App& app, const bool& as_json, int& exit_code) {
  auto file = std::make_shared<std::string>();
  auto out = std::make_shared<std::string>();
  auto id = std::make_shared<std::string>();
  auto roots = std::make_shared<std::vector<std::string>>();

  CLI::App* planet = app.add_subcommand(
      "planet", "Make and sign planets, the root definitions of a universe of your own");
  planet->require_subcommand(1);
  CLI::App* create =
      planet->add_subcommand("create", "New planet with a new signing key (FILE and FILE.json)");
  create->add_option("FILE", *file, "planet file to write")->required();
  create
      ->add_option("ROOT", *roots,
                   "IDENTITY=IP/port[,IP/port…] of each root (1 to 4); IDENTITY: text or file")
      ->required()
      ->expected(1, 4);
  create->add_option("--id", *id, "world id, hexadecimal (default: random)");
  create->callback(
      [=, &as_json, &exit_code] { exit_code = create_planet(*file, *roots, *id, as_json); });
  CLI::App* sign = planet->add_subcommand("sign", "Sign an edited JSON description again");
  sign->add_option("JSON", *file, "description with signing key")->required();
  sign->add_option("FILE", *out, "planet file to write")->required();
  sign->callback([=, &as_json, &exit_code] { exit_code = sign_world(*file, *out, as_json); });
  CLI::App* turn =
      planet->add_subcommand("rotate", "New signing key; the old one signs the change");
  turn->add_option("JSON", *file, "description with the current signing key (FILE.json)")
      ->required();
  turn->callback([=, &as_json, &exit_code] { exit_code = rotate(*file, as_json); });

  CLI::App* moon = app.add_subcommand("moon", "Make moons: further roots for those who orbit them");
  moon->require_subcommand(1);
  CLI::App* init = moon->add_subcommand("init", "Print a moon description as JSON");
  init->add_option("IDENTITY", *file, "public identity of the first root, text or file")
      ->required();
  init->callback([=, &exit_code] {
    const auto identity = public_identity(*file);
    exit_code = identity ? 0 : 1;
    if (identity) print_json(template_of({*identity}, {{}}, "moon", identity->substr(0, 10)));
  });
  CLI::App* gen = moon->add_subcommand("create", "Sign a description and write <16 hex id>.moon");
  gen->add_option("JSON", *file, "description, see init")->required();
  gen->callback([=, &as_json, &exit_code] { exit_code = sign_world(*file, "", as_json); });

  for (CLI::App* group : {planet, moon}) {
    CLI::App* show = group->add_subcommand("inspect", "Print a planet or moon file as JSON");
    show->add_option("FILE", *file, "file to read")->required();
    show->callback([=, &exit_code] { exit_code = inspect(*file); });
  }
}

}  // namespace orrery::service
