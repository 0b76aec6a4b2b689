// home: identities are never lost or replaced by accident, writes are atomic, one daemon per home.
#include "service/home.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace orrery::service {
namespace {

class HomeTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/orrery-home-test.XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
  }

  void TearDown() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] Home open() const {
    auto home = Home::open(directory_);
    EXPECT_TRUE(home) << home.error().text;
    return std::move(*home);
  }

  void put(const std::string& name, const std::string& content) const {
    std::ofstream(directory_ + "/" + name, std::ios::binary) << content;
  }

  std::string directory_;
};

TEST_F(HomeTest, IdentityIsMadeOnceAndKept) {
  const auto first = open().identity();
  ASSERT_TRUE(first) << first.error().text;
  const auto second = open().identity();
  ASSERT_TRUE(second);
  EXPECT_EQ(first->identity(), second->identity());
  struct stat info{};
  ASSERT_EQ(::stat((directory_ + "/identity.secret").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(HomeTest, ADamagedIdentityIsAnErrorAndNeverANewOne) {
  ASSERT_TRUE(open().identity());
  const auto whole = *open().read("identity.secret");
  const std::string text(text_of(*whole));
  for (const std::string& damaged :
       {std::string(), text.substr(0, 100), text.substr(0, 200), "1" + text.substr(1),
        text.substr(0, 20) + (text[20] == '0' ? "1" : "0") + text.substr(21)}) {
    if (damaged == text) continue;
    put("identity.secret", damaged);
    const auto r = open().identity();
    ASSERT_FALSE(r) << damaged;
    EXPECT_NE(r.error().text.find("identity.secret"), std::string::npos);
    EXPECT_EQ(std::string(text_of(**open().read("identity.secret"))), damaged)
        << "the file stays as it is";
  }
}

TEST_F(HomeTest, SecretsOfOthersEyesAreProtectedAtStart) {
  put("authtoken.secret", "abc");
  ::chmod((directory_ + "/authtoken.secret").c_str(), 0644);
  EXPECT_EQ(*open().auth_token(), "abc");
  struct stat info{};
  ::stat((directory_ + "/authtoken.secret").c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(HomeTest, LinksAreNotFollowed) {
  put("elsewhere", "secret");
  std::filesystem::create_symlink(directory_ + "/elsewhere", directory_ + "/planet");
  EXPECT_FALSE(open().read("planet"));
}

TEST_F(HomeTest, OneDaemonPerHome) {
  Home first = open();
  ASSERT_TRUE(first.lock());
  Home second = open();
  const auto r = second.lock();
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().text.find(std::to_string(::getpid())), std::string::npos) << r.error().text;
}

TEST_F(HomeTest, PinsAccumulate) {
  Home home = open();
  for (std::uint64_t a : {0x1111111111u, 0x2222222222u}) {
    ASSERT_TRUE(home.save(
        {control::StateKind::kPin, a, ByteVector(48, static_cast<std::uint8_t>(a)), false}));
  }
  EXPECT_EQ(open().pins()->size(), 2u);
  put("pins.json", "[]");
  EXPECT_FALSE(open().pins());
}

TEST_F(HomeTest, KillAtAnyMomentLeavesTheOldOrTheNewFile) {
  for (int round = 0; round < 50; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const Home home = Home::peek(directory_);
      for (char c = 'a';; c = c == 'z' ? 'a' : static_cast<char>(c + 1)) {
        const std::string content(20'000, c);
        (void)home.write("planet", bytes_of(content));
      }
    }
    ::usleep(static_cast<useconds_t>(500 + 137 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const auto file = Home::peek(directory_).read("planet");
    ASSERT_TRUE(file);
    if (!*file) continue;  // killed before the first write ended
    ASSERT_EQ((*file)->size(), 20'000u) << round;
    EXPECT_EQ(std::count((*file)->begin(), (*file)->end(), (**file)[0]), 20'000) << round;
  }
}

}  // namespace
}  // namespace orrery::service
