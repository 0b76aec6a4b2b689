// Every file of the vectors directory, and every list of cases in it, is read by a named test.
// Anything else fails.
#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <map>
#include <set>

#include "support/vectors.h"

namespace orrery::test {
namespace {

struct Coverage {
  const char* test;             // the test program that reads the file
  std::set<std::string> lists;  // keys of the file that hold cases or data it uses
};

const std::map<std::string, Coverage>& covered() {
  static const std::map<std::string, Coverage> kCovered = {
      {"identity.json", {"crypto_vectors_test", {"valid", "text", "binary", "proof_of_work"}}},
      {"agreement.json", {"crypto_vectors_test", {"pairs", "raw"}}},
      {"signatures.json", {"crypto_vectors_test", {"cases"}}},
      {"primitives.json",
       {"crypto_vectors_test",
        {"salsa20", "salsa20_successive_calls", "poly1305", "sha2", "hmac_sha384",
         "kbkdf_hmac_sha384", "aes256_block", "gmac_aes256", "aes256_ctr"}}},
      {"armor.json",
       {"crypto_vectors_test", {"keys", "armor", "key_mangling", "receive", "trusted_path"}}},
      {"armor_sweep.json",
       {"crypto_vectors_test", {"keys", "sweeps", "identities", "key", "aes_k0", "aes_k1"}}},
      {"hello.json", {"crypto_vectors_test", {"hello", "crypt_field", "identities"}}},
      {"compression.json", {"wire_vectors_test", {"compress", "uncompress"}}},
      {"fragments.json",
       {"crypto_vectors_test",
        {"sender_secret", "receiver_secret", "shared_key", "fragmentation", "reassembly"}}},
      {"addresses.json",
       {"wire_vectors_test", {"members", "mac_to_address", "resolution_groups", "group_order"}}},
      {"inetaddress.json", {"wire_vectors_test", {"text", "binary", "scope", "contains"}}},
      {"worlds.json", {"control_node_test", {"worlds", "decode", "update_chains", "moon_seeds"}}},
      {"world_files.json", {"control_node_test", {"planet.bin", "moon.bin"}}},
      {"planet.bin", {"control_node_test", {}}},
      {"moon.bin", {"control_node_test", {}}},
      {"com.json",
       {"credential_vectors_test", {"identities", "certificates", "parse", "agreement"}}},
      {"tag.json", {"credential_vectors_test", {"identities", "tags", "parse"}}},
      {"capability.json", {"credential_vectors_test", {"identities", "capabilities", "parse"}}},
      {"coo.json",
       {"credential_vectors_test", {"identities", "certificates", "ownership", "parse"}}},
      {"revocation.json", {"credential_vectors_test", {"identities", "revocations", "parse"}}},
      {"membership.json", {"control_network_test", {"identities", "network", "sequences"}}},
      {"credential_push.json", {"control_network_test", {"pushes", "network", "identities"}}},
      {"dictionary.json", {"wire_config_vectors_test", {"encode", "typed", "decode", "capacity"}}},
      {"netconf.json", {"wire_config_vectors_test", {"controller", "member", "configs", "decode"}}},
      {"netconf_request.json", {"control_network_test", {"requests"}}},
      {"netconf_delivery.json",
       {"control_network_test", {"controller", "member", "network", "sent", "received"}}},
      {"rule_codec.json", {"rule_vectors_test", {"rules", "json_input", "lists"}}},
      {"rule_eval.json", {"rule_vectors_test", {"cases"}}},
      {"rule_language.json", {"control_rules_test", {"cases"}}},
      {"capture.json",
       {"capture_vectors_test",
        {"network", "moon", "events", "capture_start", "nodes", "config", "planet_old",
         "planet_new", "moon_new", "moon_old", "assigned"}}},
      {"capture_decoded.json", {"capture_vectors_test", {"datagrams", "packets"}}},
      {"capture.pcapng", {"capture_vectors_test", {}}},
      {"controller_api.json",
       {"control_controller_test", {"bindings", "volatile_fields", "steps"}}},
      {"cli.json", {"cli_test", {"bindings", "identities", "commands"}}},
      {"state_files.json", {"service_test", {"identities", "node", "controller"}}},
      {"local_api.json", {"service_test", {"bindings", "identities", "volatile_fields", "steps"}}},
      {"metrics.txt", {"service_test", {}}},
  };
  return kCovered;
}

TEST(VectorsManifest, EveryFileAndListIsKnown) {
  std::cout << "vectors directory: " << vectors_directory() << '\n';
  for (const auto& entry : std::filesystem::directory_iterator(vectors_directory())) {
    const std::string file = entry.path().filename().string();
    if (file == "README.md") continue;
    const auto it = covered().find(file);
    ASSERT_NE(it, covered().end()) << "no test reads the vectors file " << file;
    if (!file.ends_with(".json")) continue;
    const nlohmann::json content = load_vectors(file);
    for (const auto& [key, value] : content.items()) {
      if (key == "format" || key == "producer" || key == "note" || !value.is_structured()) continue;
      EXPECT_TRUE(it->second.lists.contains(key))
          << file << ": no test reads the list \"" << key << '"';
    }
  }
}

}  // namespace
}  // namespace orrery::test
