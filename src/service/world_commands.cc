// `orrery planet …` and `orrery moon …`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "crypto/curve.h"
#include "service/home.h"
#include "service/identity_commands.h"
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

std::optional<std::string> content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

bool save(const std::string& path, Bytes content) {
  const std::size_t slash = path.rfind('/');
  const auto written =
      Home::peek(slash == std::string::npos ? "." : path.substr(0, slash + 1))
          .write(slash == std::string::npos ? path : path.substr(slash + 1), content);
  if (!written) std::cerr << written.error().text << '\n';
  return written.has_value();
}

template <std::size_t N>
bool key_field(const json& object, const char* name, std::array<std::uint8_t, N>& key) {
  const auto bytes = object.contains(name) && object[name].is_string()
                         ? from_hex(object[name].get<std::string>())
                         : std::nullopt;
  if (!bytes || bytes->size() != N) {
    std::cerr << "field \"" << name << "\": expected " << 2 * N << " hexadecimal digits\n";
    return false;
  }
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return true;
}

/// The roots of a world's JSON; false with a message when one does not parse.
bool read_roots(const json& object, wire::World& world) {
  if (!object.contains("roots") || !object["roots"].is_array() || object["roots"].empty() ||
      object["roots"].size() > wire::kMaxRootsPerWorld) {
    std::cerr << "field \"roots\": expected an array of 1 to 4 roots\n";
    return false;
  }
  for (const json& r : object["roots"]) {
    const auto identity = r.is_object() && r.contains("identity") && r["identity"].is_string()
                              ? wire::parse_identity(r["identity"].get<std::string>())
                              : std::nullopt;
    if (!identity) {
      std::cerr << "field \"identity\" of a root: expected a public identity\n";
      return false;
    }
    wire::WorldRoot root{identity->identity, {}};
    if (r.contains("stableEndpoints") && r["stableEndpoints"].is_array()) {
      for (const json& e : r["stableEndpoints"]) {
        const auto endpoint =
            e.is_string() ? wire::parse_endpoint(e.get<std::string>()) : std::nullopt;
        if (!endpoint || endpoint->port == 0 ||
            root.endpoints.size() >= wire::kMaxEndpointsPerRoot) {
          std::cerr
              << "field \"stableEndpoints\": expected at most 32 of the form \"IP/port\", not "
              << e.dump() << '\n';
          return false;
        }
        root.endpoints.push_back(*endpoint);
      }
    }
    std::sort(root.endpoints.begin(), root.endpoints.end());
    world.roots.push_back(std::move(root));
  }
  std::sort(world.roots.begin(), world.roots.end(),
            [](const auto& a, const auto& b) { return a.identity < b.identity; });
  return true;
}

/// Signs the world that a JSON file describes.
std::optional<wire::World> build_world(const json& object) {
  if (!object.is_object()) {
    std::cerr << "expected a JSON object\n";
    return std::nullopt;
  }
  wire::World world;
  const std::string type = object.value("worldType", "moon");
  if (type != "moon" && type != "planet") {
    std::cerr << "field \"worldType\": expected \"moon\" or \"planet\", not \"" << type << "\"\n";
    return std::nullopt;
  }
  world.type = type == "planet" ? wire::World::Type::kPlanet : wire::World::Type::kMoon;
  const std::string id = object.value("id", "");
  if (id.empty() || id.size() > 16 ||
      id.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos ||
      (world.id = std::strtoull(id.c_str(), nullptr, 16)) == 0) {
    std::cerr << "field \"id\": expected a hexadecimal number that is not 0\n";
    return std::nullopt;
  }
  SigningKey signing;
  if (!key_field(object, "signingKey", signing.open) ||
      !key_field(object, "signingKey_SECRET", signing.secret) ||
      !key_field(object, "updatesMustBeSignedBy", world.update_key) || !read_roots(object, world)) {
    return std::nullopt;
  }
  world.timestamp =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                     std::chrono::system_clock::now().time_since_epoch())
                                     .count());
  world.signature = crypto::sign(signing.secret, signing.open, wire::world_signed_bytes(world));
  burn(signing.secret);
  return world;
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
  std::string text = argument;
  if (!(argument.size() > 32 && argument[10] == ':')) {
    const auto content = content_of(argument);
    if (!content) {
      std::cerr << "cannot read identity file " << argument << '\n';
      return std::nullopt;
    }
    text = *content;
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
    text.pop_back();
  auto parsed = wire::parse_identity(text);
  if (!parsed) {
    std::cerr << argument << " is not an identity\n";
    return std::nullopt;
  }
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
                  const std::string& id_text) {
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
  if (!world || !save(file + ".json", bytes_of(object.dump(1))) ||
      !save(file, wire::encode_world(*world)))
    return 1;
  std::cout << file << " written; " << file
            << ".json holds the signing key for later revisions: keep it safe\n";
  return 0;
}

int sign_world(const std::string& json_file, const std::string& out) {
  const auto text = content_of(json_file);
  if (!text) {
    std::cerr << "cannot read " << json_file << '\n';
    return 1;
  }
  const auto world = build_world(json::parse(*text, nullptr, false));
  if (!world) return 1;
  const std::string file =
      out.empty() ? wire::to_string(wire::NetworkId{world->id}) + ".moon" : out;
  if (!save(file, wire::encode_world(*world))) return 1;
  std::cout << "wrote " << file << " (signed world with timestamp " << world->timestamp << ")\n";
  return 0;
}

int inspect(const std::string& file) {
  const auto content = content_of(file);
  if (!content) {
    std::cerr << "cannot read " << file << '\n';
    return 1;
  }
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
  std::cout << json{{"worldType", world->type == wire::World::Type::kPlanet ? "planet" : "moon"},
                    {"id", wire::to_string(wire::NetworkId{world->id})},
                    {"timestamp", world->timestamp},
                    {"updatesMustBeSignedBy", to_hex(world->update_key)},
                    {"signature", to_hex(world->signature)},
                    {"signedByOwnKey", own},
                    {"roots", roots}}
                   .dump(1)
            << '\n';
  return 0;
}

int rotate(const std::string& json_file) {
  const auto text = content_of(json_file);
  json object = text ? json::parse(*text, nullptr, false) : json();
  if (!object.is_object()) {
    std::cerr << json_file << " is not a JSON object\n";
    return 1;
  }
  SigningKey next = new_key();
  object["updatesMustBeSignedBy"] = to_hex(next.open);
  const auto world = build_world(object);
  if (!world) return 1;
  std::string file = json_file;
  if (file.ends_with(".json")) file.resize(file.size() - 5);
  object["signingKey"] = to_hex(next.open);
  object["signingKey_SECRET"] = to_hex(next.secret);
  burn(next.secret);
  if (!save(file, wire::encode_world(*world)) || !save(json_file, bytes_of(object.dump(1))))
    return 1;
  std::cout << file << " written, signed by the old key; " << json_file << " holds the new one\n";
  return 0;
}

}  // namespace

void add_world_commands(CLI::App& app, int& exit_code) {
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
  create->callback([=, &exit_code] { exit_code = create_planet(*file, *roots, *id); });
  CLI::App* sign = planet->add_subcommand("sign", "Sign an edited JSON description again");
  sign->add_option("JSON", *file, "description with signing key")->required();
  sign->add_option("FILE", *out, "planet file to write")->required();
  sign->callback([=, &exit_code] { exit_code = sign_world(*file, *out); });
  CLI::App* turn =
      planet->add_subcommand("rotate", "New signing key; the old one signs the change");
  turn->add_option("JSON", *file, "description with the current signing key (FILE.json)")
      ->required();
  turn->callback([=, &exit_code] { exit_code = rotate(*file); });

  CLI::App* moon = app.add_subcommand("moon", "Make moons: further roots for those who orbit them");
  moon->require_subcommand(1);
  CLI::App* init = moon->add_subcommand("init", "Print a moon description as JSON");
  init->add_option("IDENTITY", *file, "public identity of the first root, text or file")
      ->required();
  init->callback([=, &exit_code] {
    const auto identity = public_identity(*file);
    exit_code = identity ? 0 : 1;
    if (identity)
      std::cout << template_of({*identity}, {{}}, "moon", identity->substr(0, 10)).dump(1) << '\n';
  });
  CLI::App* gen = moon->add_subcommand("create", "Sign a description and write <16 hex id>.moon");
  gen->add_option("JSON", *file, "description, see init")->required();
  gen->callback([=, &exit_code] { exit_code = sign_world(*file, ""); });

  for (CLI::App* group : {planet, moon}) {
    CLI::App* show = group->add_subcommand("inspect", "Print a planet or moon file as JSON");
    show->add_option("FILE", *file, "file to read")->required();
    show->callback([=, &exit_code] { exit_code = inspect(*file); });
  }
}

}  // namespace orrery::service
