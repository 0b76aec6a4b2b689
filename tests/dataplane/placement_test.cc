// placement: which CPUs control and the worker get, on machines written down as tables.
#include "dataplane/placement.h"

#include <gtest/gtest.h>

#include "dataplane/ethdev.h"

namespace orrery::dataplane {
namespace {

const std::vector<Cpu> kOne = {{0, 0, 0}};
const std::vector<Cpu> kTwo = {{0, 0, 0}, {1, 1, 0}};
const std::vector<Cpu> kFour = {{0, 0, 0}, {1, 1, 0}, {2, 2, 0}, {3, 3, 0}};
const std::vector<Cpu> kEight = {{0, 0, 0}, {1, 1, 0}, {2, 2, 0}, {3, 3, 0},
                                 {4, 4, 0}, {5, 5, 0}, {6, 6, 0}, {7, 7, 0}};
const std::vector<Cpu> kCpuset = {{5, 2, 0}, {6, 3, 0}, {9, 4, 0}};
/// Two threads a core, the second half of the numbers being the second threads.
const std::vector<Cpu> kThreads = {{0, 0, 0}, {1, 1, 0}, {2, 0, 0}, {3, 1, 0}};
const std::vector<Cpu> kOneCore = {{0, 0, 0}, {1, 0, 0}, {2, 0, 0}};
const std::vector<Cpu> kTwoNodes = {{0, 0, 0}, {1, 1, 0}, {2, 2, 1}, {3, 3, 1}};

TEST(Placement, PutsThemApart) {
  const struct {
    const char* description;
    std::vector<Cpu> usable;
    const char* wanted;
    int node;
    const char* lcores;
  } rows[] = {
      {"one CPU", kOne, "auto", -1, "0@(0),1@(0)"},
      {"two CPUs: both float", kTwo, "auto", -1, "0@(0-1),1@(0-1)"},
      {"a cpuset of two", {{4, 0, 0}, {7, 1, 0}}, "auto", -1, "0@(4,7),1@(4,7)"},
      {"four cores: all but the first", kFour, "auto", -1, "0@(0),1@(1),2@(2),3@(3)"},
      {"a cpuset without CPUs 0 and 1", kCpuset, "auto", -1, "0@(5),1@(6),2@(9)"},
      {"control keeps off the worker's second thread", kThreads, "auto", -1, "0@(0,2),1@(1)"},
      {"one core of three threads", kOneCore, "auto", -1, "0@(0),1@(2)"},
      {"near the device", kTwoNodes, "auto", 1, "0@(0-1),1@(2),2@(3)"},
      {"on the device's node, but not on the first core", kTwoNodes, "auto", 0, "0@(0,2-3),1@(1)"},
      {"a node that has no usable CPU", kFour, "auto", 3, "0@(0),1@(1),2@(2),3@(3)"},
      {"no more by itself than what helps", kEight, "auto", -1,
       "0@(0,5-7),1@(1),2@(2),3@(3),4@(4)"},
      {"a list: a worker for each", kFour, "2-3", -1, "0@(0-1),1@(2),2@(3)"},
      {"a list beats the node", kTwoNodes, "1", 1, "0@(0,2-3),1@(1)"},
      {"a list on two CPUs", kTwo, "1", -1, "0@(0),1@(1)"},
      {"a list of both CPUs: control floats", kTwo, "0,1", -1, "0@(0-1),1@(0),2@(1)"},
      {"a list of the only CPU", kOne, "0", -1, "0@(0),1@(0)"},
      {"a list of all cores, but not of all threads", kThreads, "0-1", -1, "0@(2),1@(0),2@(1)"},
      {"order counts", kFour, "3,1", -1, "0@(0,2),1@(3),2@(1)"},
      {"more than what is chosen by itself", kEight, "2-7", -1,
       "0@(0-1),1@(2),2@(3),3@(4),4@(5),5@(6),6@(7)"},
  };

  for (const auto& row : rows) {
    SCOPED_TRACE(row.description);
    const auto placed = place(row.usable, row.wanted, row.node);
    ASSERT_TRUE(placed) << placed.error().text;
    EXPECT_EQ(lcore_map(*placed), row.lcores);
  }
}

TEST(Placement, RefusesWhatIsNotThere) {
  for (const char* wanted : {"", "x", "1-", "-1", "2-1", "1,,2", "1,", " 1", "0-4", "7", "5000"}) {
    const auto placed = place(kFour, wanted, -1);
    ASSERT_FALSE(placed) << wanted;
    EXPECT_EQ(placed.error().code, Errc::kInvalid);
  }
  EXPECT_EQ(place(kFour, "2-5", -1).error().text,
            "CPU 4 is not usable by this process; expected some of 0-3");
  std::vector<Cpu> many;
  for (unsigned i = 0; i < 20; ++i) many.push_back({i, i, 0});
  EXPECT_EQ(place(many, "2-17", -1).error().text, "16 CPUs; expected at most 15");
}

TEST(Placement, ReadsLists) {
  EXPECT_EQ(*parse_cpu_list("2-5"), (std::vector<unsigned>{2, 3, 4, 5}));
  EXPECT_EQ(*parse_cpu_list("7,1-2,2"), (std::vector<unsigned>{7, 1, 2}));
}

TEST(Placement, ThisMachineHasCpus) {
  const auto cpus = usable_cpus();
  ASSERT_FALSE(cpus.empty());
  EXPECT_TRUE(place(cpus, "auto", -1));
}

TEST(Device, NamesTellWhatTheyAre) {
  const struct {
    const char* device;
    bool pci;
    const char* interface;
  } rows[] = {
      {"0000:03:00.1", true, ""},
      {"03:00.1", true, ""},
      {"0000:03:00.1,some=thing", true, ""},
      {"net_af_xdp0,iface=wan0", false, "wan0"},
      {"net_af_packet0,blocksz=4096,iface=wan0,framesz=2048", false, "wan0"},
      {"net_memif0,mac=02:00:00:00:00:01", false, ""},
      {"net_tap0,remote=eth0", false, ""},
      {"0000:03:00", false, ""},
      {"", false, ""},
  };

  for (const auto& row : rows) {
    SCOPED_TRACE(row.device);
    EXPECT_EQ(is_pci_address(row.device), row.pci);
    EXPECT_EQ(interface_of(row.device), row.interface);
  }
}

}  // namespace
}  // namespace orrery::dataplane
