// The shared store against a server: ORRERY_POSTGRES is the URI of an empty database, which
// tests/e2e/postgres_test.py starts. One leads, others follow.
#include "service/postgres_store.h"

#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "service/standby.h"

namespace orrery::service {
namespace {

using control::RecordKind;
using control::StoreWrite;

constexpr wire::Address kIdentity{0x8056c2e21c}, kOther{0x1122334455};
constexpr wire::NetworkId kNetwork{0xff56c2e21c000001};  // the top bit set

std::string uri() {
  const char* text = std::getenv("ORRERY_POSTGRES");
  return text == nullptr ? std::string() : text;
}

class PostgresStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    if (uri().empty()) GTEST_SKIP() << "ORRERY_POSTGRES names no database";
    run("DROP TABLE IF EXISTS orrery_record, orrery_schema; DROP SEQUENCE IF EXISTS "
        "orrery_revision");
  }

  /// As an operator would.
  static std::string run(const std::string& sql) {
    PGconn* connection = PQconnectdb(uri().c_str());
    PGresult* result = PQexec(connection, sql.c_str());
    std::string text = PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "";
    PQclear(result);
    PQfinish(connection);
    return text;
  }

  static std::unique_ptr<PostgresStore> open(wire::Address identity = kIdentity) {
    auto store = PostgresStore::open(uri(), identity);
    if (!store) throw std::runtime_error(store.error().text);
    return std::move(*store);
  }

  static std::vector<std::string> texts(const Result<std::vector<StoreWrite>>& records) {
    if (!records) throw std::runtime_error(records.error().text);
    std::vector<std::string> found;
    for (const StoreWrite& r : *records) found.push_back(r.json);
    return found;
  }

  /// Notifications take a moment.
  static bool notified_soon(PostgresStore& store) {
    for (int i = 0; i < 200; ++i) {
      if (store.notified()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
};

TEST_F(PostgresStoreTest, KeepsReplacesAndRemoves) {
  {
    auto store = open();
    ASSERT_TRUE(*store->try_lead());
    EXPECT_TRUE(texts(store->load()).empty());
    ASSERT_TRUE(store->commit({{kNetwork, wire::Address{7}, R"({"a":"\"\\,{}"})"},
                               {kNetwork, {}, "{\"name\":\"\xc3\xa4\"}"},
                               {kNetwork, wire::Address{8}, "{}"},
                               {{}, {}, "{\"t\":1}", RecordKind::kToken, 0xfedcba9876543210}}));
    ASSERT_TRUE(store->commit({{kNetwork, wire::Address{8}, {}},
                               {kNetwork, wire::Address{9}, "{\"first\":1}"},
                               {kNetwork, wire::Address{9}, "{\"last\":1}"}}));
    EXPECT_TRUE(store->commit({}));
  }
  auto store = open();
  const auto records = store->load();
  EXPECT_EQ(texts(records),
            (std::vector<std::string>{"{\"name\":\"\xc3\xa4\"}", R"({"a":"\"\\,{}"})",
                                      "{\"last\":1}", "{\"t\":1}"}))
      << "each network before its members";
  EXPECT_EQ((*records)[0].network, kNetwork);
  EXPECT_EQ((*records)[1].member, wire::Address{7});
  EXPECT_EQ((*records)[3].id, 0xfedcba9876543210);
  EXPECT_EQ((*records)[3].kind, RecordKind::kToken);
  EXPECT_TRUE(texts(open(kOther)->load()).empty()) << "another identity's";
}

TEST_F(PostgresStoreTest, OneLeadsAndTheNextFollows) {
  auto first = open();
  auto second = open();
  auto other = open(kOther);
  ASSERT_TRUE(*first->try_lead());
  EXPECT_FALSE(*second->try_lead());
  EXPECT_TRUE(*other->try_lead()) << "another identity has a lead of its own";
  RecordCopy copy;
  copy.set(*second->load());
  EXPECT_FALSE(second->notified());
  ASSERT_TRUE(first->commit({{kNetwork, {}, "{\"n\":1}"}, {kNetwork, wire::Address{7}, "{}"}}));
  EXPECT_TRUE(notified_soon(*second));
  copy.update(*second->changed());
  EXPECT_EQ(copy.all().size(), 2u);
  EXPECT_TRUE(second->changed()->empty()) << "nothing newer";
  ASSERT_TRUE(first->commit({{kNetwork, {}, "{\"n\":2}"}, {kNetwork, wire::Address{7}, {}}}));
  EXPECT_TRUE(notified_soon(*second));
  copy.update(*second->changed());
  ASSERT_EQ(copy.all().size(), 1u);
  EXPECT_EQ(copy.all()[0].json, "{\"n\":2}");
  EXPECT_FALSE(other->notified());

  first.reset();  // its connection ends
  bool leads = false;
  for (int i = 0; i < 100 && !leads; ++i) {
    leads = *second->try_lead();
    if (!leads) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(leads);
  ASSERT_TRUE(second->commit({{kNetwork, {}, "{\"n\":3}"}}));
  EXPECT_EQ(texts(open()->load()), std::vector<std::string>{"{\"n\":3}"});
}

TEST_F(PostgresStoreTest, RevisionsRise) {
  auto store = open();
  ASSERT_TRUE(*store->try_lead());
  ASSERT_TRUE(store->commit({{kNetwork, {}, "{}"}, {kNetwork, wire::Address{7}, "{}"}}));
  const std::string before = run("SELECT max(revision) FROM orrery_record");
  ASSERT_TRUE(store->commit({{kNetwork, wire::Address{7}, "{\"a\":1}"}}));
  EXPECT_GT(std::stoll(run("SELECT revision FROM orrery_record WHERE item = 7")),
            std::stoll(before));
}

TEST_F(PostgresStoreTest, ALostConnectionIsNoLeaderAnyMore) {
  auto store = open();
  ASSERT_TRUE(*store->try_lead());
  EXPECT_TRUE(store->on_quiet());
  run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
      " WHERE application_name = 'orrery' AND pid <> pg_backend_pid()");
  const auto beat = store->on_quiet();
  ASSERT_FALSE(beat);
  EXPECT_NE(beat.error().text.find("PostgreSQL"), std::string::npos);
  EXPECT_TRUE(store->lost());
  EXPECT_FALSE(store->commit({{kNetwork, {}, "{}"}}));
  EXPECT_TRUE(texts(open()->load()).empty());
}

TEST_F(PostgresStoreTest, WhatCannotBeUsedIsTold) {
  {
    open();
  }
  run("UPDATE orrery_schema SET version = 99");
  const auto later = PostgresStore::open(uri(), kIdentity);
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().code, Errc::kUnsupported);
  const auto nowhere = PostgresStore::open("postgresql:///orrery?host=/nowhere", kIdentity);
  ASSERT_FALSE(nowhere);
  EXPECT_NE(nowhere.error().text.find("/nowhere"), std::string::npos) << nowhere.error().text;
}

TEST(RecordCopy, NetworksStandBeforeTheirMembers) {
  RecordCopy copy;
  copy.set({{kNetwork, wire::Address{7}, "{}"},
            {{}, {}, "{}", RecordKind::kAudit, 1},
            {kNetwork, {}, "{}"},
            {wire::NetworkId{1}, {}, "{}"}});
  copy.update({{wire::NetworkId{1}, {}, {}}, {kNetwork, wire::Address{7}, "{\"a\":1}"}});
  const auto all = copy.all();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_FALSE(all[0].member);
  EXPECT_EQ(all[1].json, "{\"a\":1}");
  EXPECT_EQ(all[2].kind, RecordKind::kAudit);
}

}  // namespace
}  // namespace orrery::service
