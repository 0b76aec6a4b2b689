// Golden vectors for tests: JSON files of the directory in ORRERY_VECTORS (default: tests/vectors).
//
// A test that covers a file says so once with ORRERY_COVERS, naming the lists of cases that it
// reads; the manifest test (vectors_manifest_test.cc) holds the table of all files and fails on a
// file or list that nobody covers.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/bytes.h"

namespace orrery::test {

/// Directory of the vectors in use.
std::string vectors_directory();
/// Parsed file, e.g. load_vectors("armor.json"). Throws with the path in the text when it cannot be
/// read.
nlohmann::json load_vectors(const std::string& file);
/// One list of cases of a file, by value (g++ 12 does not keep temporaries of a range-for alive);
/// throws when it is empty.
nlohmann::json cases(const std::string& file, const std::string& list);
/// Raw bytes of a file.
ByteVector load_vector_bytes(const std::string& file);

/// Bytes of a hexadecimal string in a case; throws when it is not hexadecimal.
ByteVector hex_bytes(const nlohmann::json& value);
/// Strictness of a case: "must" when absent.
std::string strictness(const nlohmann::json& test_case);
/// Label of a case for messages: its name or what, else its index.
std::string label(const nlohmann::json& test_case, std::size_t index);

}  // namespace orrery::test
