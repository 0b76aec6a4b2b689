// The controller's store: what was acknowledged is there after kill -9, full disks and damage are
// told plainly.
#include "service/controller_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>

namespace orrery::service {
namespace {

namespace fs = std::filesystem;
using control::StoreWrite;

constexpr wire::NetworkId kNetwork{0x8056c2e21c000001};
constexpr std::uint64_t kBatch = 5;  // records that stand or fall together

struct Directory {
  Directory() {
    std::string name = (fs::temp_directory_path() / "orrery-store-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path = name;
  }

  ~Directory() { fs::remove_all(path); }

  [[nodiscard]] std::string file() const { return (path / "orrery.sqlite").string(); }

  fs::path path;
};

std::vector<StoreWrite> batch(std::uint64_t number, std::size_t padding = 0) {
  std::vector<StoreWrite> writes;
  for (std::uint64_t i = 1; i <= kBatch; ++i) {
    writes.push_back({kNetwork, wire::Address{i},
                      "{\"number\":" + std::to_string(number) + ",\"x\":\"" +
                          std::string(padding, 'x') + "\"}"});
  }
  // One that stays: the journal of all batches.
  writes.push_back(
      {kNetwork, wire::Address{1'000 + number}, "{\"number\":" + std::to_string(number) + "}"});
  return writes;
}

std::map<std::uint64_t, std::string> records_of(ControllerStore& store) {
  const auto records = store.load();
  if (!records) throw std::runtime_error(records.error().text);
  std::map<std::uint64_t, std::string> found;
  for (const StoreWrite& r : *records) found[r.member.value] = r.json;
  return found;
}

std::uint64_t number_in(const std::string& text) {
  return std::stoull(text.substr(text.find(':') + 1));
}

/// Exit status of what runs in a process of its own.
template <typename Run>
int in_child(Run run) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(run());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(ControllerStore, KeepsReplacesAndRemoves) {
  const Directory dir;
  {
    auto store = ControllerStore::open(dir.file());
    ASSERT_TRUE(store) << store.error().text;
    EXPECT_TRUE(store->load()->empty());
    ASSERT_TRUE(store->commit({{kNetwork, wire::Address{7}, "{\"a\":1}"},
                               {kNetwork, {}, "{\"name\":\"n\"}"},
                               {kNetwork, wire::Address{8}, "{\"b\":1}"},
                               {wire::NetworkId{1}, {}, "{}"}}));
    ASSERT_TRUE(store->commit(
        {{kNetwork, wire::Address{7}, "{\"a\":2}"}, {kNetwork, wire::Address{8}, {}}}));
    EXPECT_TRUE(store->commit({}));
  }
  struct stat status{};
  ASSERT_EQ(::stat(dir.file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);

  auto store = ControllerStore::open(dir.file());
  ASSERT_TRUE(store) << store.error().text;
  const auto records = store->load();
  ASSERT_TRUE(records);
  // A network id with the top bit set sorts below zero in SQLite: only the order within a network
  // counts.
  std::vector<StoreWrite> of_network;
  for (const StoreWrite& r : *records) {
    if (r.network == kNetwork) of_network.push_back(r);
  }
  ASSERT_EQ(of_network.size(), 2u);
  EXPECT_FALSE(of_network[0].member) << "the network comes before its members";
  EXPECT_EQ(of_network[1].json, "{\"a\":2}");
  EXPECT_EQ(records->size(), 3u);
}

TEST(ControllerStore, ASecondOneFindsItLocked) {
  const Directory dir;
  auto first = ControllerStore::open(dir.file());
  ASSERT_TRUE(first);
  const auto second = ControllerStore::open(dir.file());
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().text.find("another process"), std::string::npos) << second.error().text;
  EXPECT_NE(second.error().text.find(dir.file()), std::string::npos);
  EXPECT_TRUE(first->commit(batch(1))) << "the first one is not disturbed";
}

TEST(ControllerStore, AcknowledgedWritesOutliveKill) {
  const Directory dir;
  std::mt19937 random(static_cast<std::uint32_t>(testing::UnitTest::GetInstance()->random_seed()));
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 50; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      auto store = ControllerStore::open(dir.file());
      if (!store) ::_exit(1);
      for (std::uint64_t number = acknowledged + 1;; ++number) {
        if (!store->commit(batch(number, random() % 20'000))) ::_exit(2);
        if (::write(ends[1], &number, sizeof number) != sizeof number) ::_exit(3);
      }
    }
    ::close(ends[1]);
    // Killed at any moment: while it opens the file (every fourth round), or after some commits.
    std::uint64_t number = 0;
    for (int i = 0; i < round % 4; ++i) {
      ASSERT_EQ(::read(ends[0], &number, sizeof number), static_cast<ssize_t>(sizeof number));
      acknowledged = number;
    }
    ::usleep(static_cast<useconds_t>(random() % 20'000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status))
        << "round " << round << ": the child failed with " << WEXITSTATUS(status);
    while (::read(ends[0], &number, sizeof number) == sizeof number) acknowledged = number;
    ::close(ends[0]);

    auto store = ControllerStore::open(dir.file());
    ASSERT_TRUE(store) << "round " << round << ": " << store.error().text;
    const auto found = records_of(*store);
    for (std::uint64_t i = 1; i <= acknowledged; ++i) {
      ASSERT_TRUE(found.contains(1'000 + i))
          << "round " << round << ": lost " << i << " of " << acknowledged;
    }
    if (acknowledged == 0) continue;
    const std::uint64_t newest = number_in(found.at(1));
    EXPECT_GE(newest, acknowledged);
    EXPECT_LE(newest, acknowledged + 1) << "at most the one whose acknowledgement was cut off";
    for (std::uint64_t i = 1; i <= kBatch; ++i)
      EXPECT_EQ(number_in(found.at(i)), newest) << "a batch is whole";
    acknowledged = newest;
  }
  EXPECT_GE(acknowledged, 73u) << "0 + 1 + 2 + 3 in turn, at least";
}

TEST(ControllerStore, FullDiskIsToldAndLosesNothing) {
  const Directory dir;

  enum Exit { kFine, kNoNamespace, kOpen, kCommit, kWrongError, kReopen, kLost };

  // A file system of 1 MB in a mount namespace of its own, which goes with the child.
  const int result = in_child([&]() -> int {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", dir.path.c_str(), "tmpfs", 0, "size=1m") != 0) {
      return kNoNamespace;
    }
    std::uint64_t acknowledged = 0;
    {
      auto store = ControllerStore::open(dir.file());
      if (!store) return kOpen;
      for (;;) {
        const auto done = store->commit(batch(acknowledged + 1, 4'000));
        if (!done) {
          if (done.error().code != Errc::kFull ||
              done.error().text.find(dir.file()) == std::string::npos) {
            std::fprintf(stderr, "%s\n", done.error().text.c_str());
            return kWrongError;
          }
          break;
        }
        if (++acknowledged > 10'000) return kCommit;
      }
      if (acknowledged == 0) return kCommit;
    }
    auto store = ControllerStore::open(dir.file());
    if (!store) {
      std::fprintf(stderr, "%s\n", store.error().text.c_str());
      return kReopen;
    }
    const auto found = records_of(*store);
    for (std::uint64_t i = 1; i <= acknowledged; ++i) {
      if (!found.contains(1'000 + i)) return kLost;
    }
    return found.contains(1'000 + acknowledged + 1) ? kLost : kFine;
  });
  if (result == kNoNamespace)
    GTEST_SKIP() << "a small file system needs the right to mount one (run as root)";
  EXPECT_EQ(result, kFine);
}

TEST(ControllerStore, DamageIsTold) {
  const Directory dir;
  {
    auto store = ControllerStore::open(dir.file());
    ASSERT_TRUE(store);
    for (std::uint64_t i = 1; i <= 50; ++i) ASSERT_TRUE(store->commit(batch(i, 4'000)));
  }
  const auto size = fs::file_size(dir.file());
  ASSERT_GT(size, 16'384u);
  const auto damaged = [&](std::uint64_t offset, std::size_t length) {
    const std::string copy = dir.file() + ".copy";
    fs::copy_file(dir.file(), copy, fs::copy_options::overwrite_existing);
    std::fstream file(copy, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file << std::string(length, '\x5a');
    file.close();
    auto store = ControllerStore::open(copy);
    return store ? std::string() : store.error().text;
  };
  for (const auto& [offset, length] :
       {std::pair<std::uint64_t, std::size_t>{0, 100}, {4'096, 4'096}, {100, 60}}) {
    const std::string text = damaged(offset, length);
    EXPECT_NE(text.find("damaged"), std::string::npos) << "at " << offset << ": " << text;
    EXPECT_NE(text.find(".copy"), std::string::npos) << text;
  }
  // No database at all; a directory; a folder that does not exist.
  std::ofstream(dir.path / "text") << "This is the home of a controller.\n"
                                   << std::string(2'000, '.');
  const auto text = ControllerStore::open((dir.path / "text").string());
  ASSERT_FALSE(text);
  EXPECT_NE(text.error().text.find("damaged"), std::string::npos) << text.error().text;
  EXPECT_FALSE(ControllerStore::open(dir.path.string()));
  const auto missing = ControllerStore::open((dir.path / "no" / "file").string());
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().text.find("No such file"), std::string::npos) << missing.error().text;
}

TEST(ControllerStore, TheFirstLayoutIsBroughtUpToDate) {
  const Directory dir;
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(dir.file().c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db,
                         "CREATE TABLE record (network INTEGER NOT NULL, member INTEGER NOT NULL,"
                         " json TEXT NOT NULL, PRIMARY KEY (network, member)) WITHOUT ROWID;"
                         "INSERT INTO record VALUES (7, 0, '{\"a\":1}');"
                         "PRAGMA user_version = 1",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(db);
  for (int round = 0; round < 2; ++round) {
    auto store = ControllerStore::open(dir.file());
    ASSERT_TRUE(store) << store.error().text;
    const auto records = store->load();
    ASSERT_TRUE(records);
    ASSERT_EQ(records->size(), 1u + static_cast<std::size_t>(round));
    EXPECT_EQ(records->front().json, "{\"a\":1}");
    EXPECT_TRUE(store->commit({{{}, {}, "{}", control::RecordKind::kAudit, 5}}));
  }
}

TEST(ControllerStore, KeepsRecordsOfOtherKinds) {
  const Directory dir;
  const auto token = [](std::uint64_t id, std::string text) {
    return StoreWrite{{}, {}, std::move(text), control::RecordKind::kToken, id};
  };
  constexpr std::uint64_t kHigh = 0xfedcba9876543210;
  {
    auto store = ControllerStore::open(dir.file());
    ASSERT_TRUE(store);
    ASSERT_TRUE(store->commit({{kNetwork, {}, "{}"},
                               token(1, "{\"n\":1}"),
                               token(kHigh, "{\"n\":2}"),
                               {{}, {}, "{\"w\":1}", control::RecordKind::kWebhook, 1}}));
    ASSERT_TRUE(store->commit({token(1, "")}));
  }
  auto store = ControllerStore::open(dir.file());
  ASSERT_TRUE(store);
  const auto records = store->load();
  ASSERT_TRUE(records);
  ASSERT_EQ(records->size(), 3u);
  EXPECT_EQ((*records)[0].kind, control::RecordKind::kRecord);
  EXPECT_EQ((*records)[1].id, kHigh);
  EXPECT_EQ((*records)[1].json, "{\"n\":2}");
  EXPECT_EQ((*records)[2].kind, control::RecordKind::kWebhook);
}

TEST(ControllerStore, LaterVersionIsRefused) {
  const Directory dir;
  {
    ASSERT_TRUE(ControllerStore::open(dir.file()));
  }
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(dir.file().c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  const auto store = ControllerStore::open(dir.file());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::kUnsupported);
  EXPECT_NE(store.error().text.find("later version"), std::string::npos);
}

}  // namespace
}  // namespace orrery::service
