// Starting again keeps every argument: the child runs this very test program once more.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "service/daemon.h"

namespace orrery::service {
namespace {

constexpr const char* kReport = "ORRERY_RESTART_REPORT";  // the file that the second run writes

TEST(Restart, SecondRun) {
  const char* report = std::getenv(kReport);
  if (report == nullptr) GTEST_SKIP() << "only as the second run of the test below";
  std::ofstream out(report);
  for (const std::string& argument : testing::internal::GetArgvs()) out << argument << '\n';
}

TEST(Restart, KeepsTheArguments) {
  char report[] = "/tmp/orrery-restart-test.XXXXXX";
  const int fd = ::mkstemp(report);
  ASSERT_GE(fd, 0);
  ::close(fd);
  std::vector<std::string> arguments = {"orreryd",     "--gtest_filter=Restart.SecondRun",
                                        "--home",      "/home with a space",
                                        "--config=/x", "--port",
                                        "7",           "--",
                                        "--vdev",      "net_null0"};
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::setenv(kReport, report, 1);
    std::vector<char*> raw;
    for (std::string& argument : arguments) raw.push_back(argument.data());
    raw.push_back(nullptr);
    (void)start_again(raw.data());
    ::_exit(99);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  std::ifstream in(report);
  const std::string got(std::istreambuf_iterator<char>(in), {});
  std::string expected;
  for (const std::string& argument : arguments) expected += argument + "\n";
  EXPECT_EQ(got, expected);
  std::filesystem::remove(report);
}

}  // namespace
}  // namespace orrery::service
