// A keyed table of immutable records: one writer, any number of readers without locks.
//
// Keys go through rte_hash with lock-free readers and SipHash under a key of this process. Records
// are published by pointer; a replaced or removed record is freed after every worker has been
// quiescent once.
//   Invariant 1: a record never changes after publication.
//   Invariant 2: a pointer is retired only after the key no longer leads to it.
#pragma once

#include <rte_hash.h>
#include <rte_prefetch.h>
#include <rte_rcu_qsbr.h>

#include <cstring>
#include <deque>
#include <memory>
#include <string>

#include "base/layout.h"
#include "base/result.h"
#include "base/siphash.h"
#include "crypto/siphash_batch.h"

namespace orrery::dataplane {

/// Key of every table's hash; set once, before the first table is made.
SipKey& table_hash_key();
std::uint32_t table_hash(const void* key, std::uint32_t length, std::uint32_t);

/// `Key`: a plain struct without padding. `kHot`: bytes at the front of a record that every packet
/// reads.
template <typename Key, typename Record, std::size_t kHot = kCacheLine>
class RcuTable {
 public:
  RcuTable() = default;
  RcuTable(const RcuTable&) = delete;
  RcuTable& operator=(const RcuTable&) = delete;

  ~RcuTable() {
    if (hash_ == nullptr) return;
    const void* key = nullptr;
    void* data = nullptr;
    std::uint32_t next = 0;
    while (rte_hash_iterate(hash_, &key, &data, &next) >= 0)
      delete static_cast<const Record*>(data);
    rte_hash_free(hash_);
  }

  Result<void> open(const std::string& name, std::uint32_t entries, rte_rcu_qsbr* rcu) {
    rcu_ = rcu;
    rte_hash_parameters parameters{};
    parameters.name = name.c_str();
    parameters.entries = entries;
    parameters.key_len = sizeof(Key);
    parameters.hash_func = table_hash;
    parameters.socket_id = SOCKET_ID_ANY;
    parameters.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF;
    hash_ = rte_hash_create(&parameters);
    if (hash_ == nullptr) return failure(Errc::kFull, "no memory for table " + name);
    rte_hash_rcu_config config{};
    config.v = rcu;
    config.mode = RTE_HASH_QSBR_MODE_DQ;
    if (rte_hash_rcu_qsbr_add(hash_, &config) != 0)
      return failure(Errc::kFull, "no RCU queue for table " + name);
    return {};
  }

  // --- readers
  /// Valid until the reader's next quiescent state.
  [[nodiscard]] const Record* find(const Key& key) const {
    void* data = nullptr;
    return rte_hash_lookup_data(hash_, &key, &data) < 0 ? nullptr
                                                        : static_cast<const Record*>(data);
  }

  /// The same for up to 64 keys at once, which hides the misses of a large table behind one
  /// another: found[i] is null where keys[i] is unknown. Packets come in runs, so a key that
  /// equals the one before it costs a comparison.
  void find_bulk(const Key* const* keys, unsigned n, const Record** found) const {
    const Key* distinct[RTE_HASH_LOOKUP_BULK_MAX];
    std::uint8_t nth[RTE_HASH_LOOKUP_BULK_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < n; ++i) {
      if (i == 0 || std::memcmp(keys[i], keys[i - 1], sizeof(Key)) != 0)
        distinct[count++] = keys[i];
      nth[i] = static_cast<std::uint8_t>(count - 1);
    }
    if (count == 0) return;
    std::uint64_t hits = 0;
    void* data[RTE_HASH_LOOKUP_BULK_MAX];
    hash_sig_t hashes[RTE_HASH_LOOKUP_BULK_MAX];
    hash_bulk(distinct, count, hashes);
    // DPDK reads both arrays, though their types do not say so.
    rte_hash_lookup_with_hash_bulk_data(hash_, reinterpret_cast<const void**>(distinct), hashes,
                                        count, &hits, data);
    // Whoever reads the first of them waits for all.
    for (unsigned k = 0; k < count; ++k) {
      if ((hits >> k & 1) == 0) continue;
      for (std::size_t at = 0; at < kHot; at += kCacheLine)
        rte_prefetch0(static_cast<const std::byte*>(data[k]) + at);
    }
    for (unsigned i = 0; i < n; ++i)
      found[i] = (hits >> nth[i] & 1) != 0 ? static_cast<const Record*>(data[nth[i]]) : nullptr;
  }

  // --- the writer
  /// False when the table is full: the record is dropped and readers punt.
  bool put(const Key& key, std::unique_ptr<const Record> record) {
    const Record* before = find(key);
    if (rte_hash_add_key_data(hash_, &key, const_cast<Record*>(record.get())) != 0) return false;
    (void)record.release();
    if (before != nullptr) retire(before);  // Invariant 2
    return true;
  }

  void remove(const Key& key) {
    const Record* before = find(key);
    if (before == nullptr) return;
    rte_hash_del_key(hash_, &key);
    retire(before);  // Invariant 2
  }

  /// Frees what no reader can hold any more.
  void reclaim() {
    while (!retired_.empty() && rte_rcu_qsbr_check(rcu_, retired_.front().token, false) == 1)
      retired_.pop_front();
  }

  /// Calls `each(key)` for every key; the writer's side.
  template <typename Each>
  void for_each_key(Each each) const {
    const void* key = nullptr;
    void* data = nullptr;
    std::uint32_t next = 0;
    while (rte_hash_iterate(hash_, &key, &data, &next) >= 0) {
      Key k;
      std::memcpy(&k, key, sizeof k);
      each(k);
    }
  }

 private:
  struct Retired {
    std::uint64_t token;
    std::unique_ptr<const Record> record;
  };

  /// table_hash() of each.
  static void hash_bulk(const Key* const* keys, unsigned n, hash_sig_t* hashes) {
    static_assert(sizeof(Key) % 8 == 0 && sizeof(Key) / 8 < crypto::SipBatch::kWords);
    static_assert(RTE_HASH_LOOKUP_BULK_MAX == crypto::SipBatch::kMost);
    constexpr unsigned kWhole = sizeof(Key) / 8;
    crypto::SipBatch batch;
    for (unsigned i = 0; i < n; ++i) {
      std::uint64_t words[kWhole];
      std::memcpy(words, keys[i], sizeof words);
      for (unsigned j = 0; j < kWhole; ++j) batch.word[j][i] = words[j];
      batch.word[kWhole][i] = crypto::SipBatch::last(sizeof(Key));
    }
    alignas(64) std::uint64_t full[crypto::SipBatch::kMost];
    crypto::siphash_batch(table_hash_key(), batch, kWhole + 1, n, full);
    for (unsigned i = 0; i < n; ++i) hashes[i] = static_cast<hash_sig_t>(full[i]);
  }

  void retire(const Record* record) {
    retired_.push_back({rte_rcu_qsbr_start(rcu_), std::unique_ptr<const Record>(record)});
    reclaim();
  }

  rte_hash* hash_ = nullptr;
  rte_rcu_qsbr* rcu_ = nullptr;
  std::deque<Retired> retired_;
};

}  // namespace orrery::dataplane
