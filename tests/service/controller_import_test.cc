// The controller files of a zerotier-one home, as recorded, become the same records here.
#include "service/controller_import.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "support/vectors.h"

namespace orrery::service {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

TEST(ControllerImport, RecordedHome) {
  std::string name = (fs::temp_directory_path() / "orrery-import-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const fs::path home = name;
  const json file = test::load_vectors("state_files.json");
  std::map<std::pair<std::uint64_t, std::uint64_t>, json> expected;
  for (const auto& [path, text] : file["controller"].items()) {
    fs::create_directories((home / path).parent_path());
    std::ofstream(home / path) << text.get<std::string>();
    const json record = json::parse(text.get<std::string>());
    const auto network = wire::parse_network_id(record["nwid"].get<std::string>());
    const auto member = wire::parse_address(record["id"].get<std::string>());
    ASSERT_TRUE(network);
    expected[{network->value, member ? member->value : 0}] = record;
  }
  ASSERT_GE(expected.size(), 3u);
  // What is no record of the right name or form.
  const std::string folder = (home / file["controller"].begin().key()).parent_path().string();
  std::ofstream(folder + "/0000000000000000.json") << "{}";
  std::ofstream(folder + "/1122334455667788.json") << "{damaged";
  std::ofstream(folder + "/1122334455667788.json.tmp") << "{}";
  std::ofstream(folder + "/notes.json") << "{}";

  const ImportedRecords imported = import_controller_records((home / "controller.d").string());
  EXPECT_EQ(imported.skipped, std::vector{folder + "/1122334455667788.json"});
  ASSERT_EQ(imported.records.size(), expected.size());
  control::Registry registry;
  for (const control::StoreWrite& r : imported.records) {
    EXPECT_EQ(json::parse(r.json), (expected[{r.network.value, r.member.value}]));
    EXPECT_TRUE(registry.load(r));
  }
  for (const auto& [key, record] : expected) {
    const auto* network = registry.find(wire::NetworkId{key.first});
    ASSERT_NE(network, nullptr);
    if (key.second != 0) {
      EXPECT_TRUE(network->members.contains(wire::Address{key.second}));
    }
  }
  EXPECT_TRUE(import_controller_records((home / "nowhere").string()).records.empty());

  // Out again: the same files, byte for byte.
  const std::string out = (home / "again").string();
  auto records = imported.records;
  records.push_back({{}, {}, "{}", control::RecordKind::kToken, 7});
  const auto exported = export_controller_records(out, records);
  ASSERT_TRUE(exported) << exported.error().text;
  std::size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(out)) {
    if (!entry.is_regular_file()) continue;
    ++files;
    const std::string path = "controller.d/" + fs::relative(entry.path(), out).string();
    std::ifstream in(entry.path());
    const std::string text(std::istreambuf_iterator<char>(in), {});
    EXPECT_EQ(text, file["controller"][path].get<std::string>()) << path;
  }
  EXPECT_EQ(files, expected.size());
  EXPECT_FALSE(export_controller_records(out, records)) << "what is there is not overwritten";
  EXPECT_FALSE(fs::exists(out + ".unfinished"));
  EXPECT_EQ(import_controller_records(out).records.size(), expected.size());
  fs::remove_all(home);
}

}  // namespace
}  // namespace orrery::service
