#include "support/vectors.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace orrery::test {

std::string vectors_directory() {
  for (const char* name : {"ORRERY_VECTORS", "ORRERY_VECTORS_DEFAULT"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  throw std::runtime_error("set ORRERY_VECTORS to the directory of the golden vectors");
}

ByteVector load_vector_bytes(const std::string& file) {
  const std::string path = vectors_directory() + "/" + file;
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read vectors file " + path);
  return ByteVector(std::istreambuf_iterator<char>(in), {});
}

nlohmann::json load_vectors(const std::string& file) {
  const ByteVector bytes = load_vector_bytes(file);
  return nlohmann::json::parse(bytes.begin(), bytes.end());
}

nlohmann::json cases(const std::string& file, const std::string& list) {
  nlohmann::json found = load_vectors(file).at(list);
  if (found.empty()) throw std::runtime_error(file + ": the list " + list + " is empty");
  return found;
}

ByteVector hex_bytes(const nlohmann::json& value) {
  auto bytes = from_hex(value.get<std::string>());
  if (!bytes) throw std::runtime_error("not hexadecimal: " + value.dump());
  return *bytes;
}

std::string strictness(const nlohmann::json& test_case) {
  return test_case.value("strictness", "must");
}

std::string label(const nlohmann::json& test_case, std::size_t index) {
  for (const char* key : {"name", "what"}) {
    if (test_case.contains(key) && test_case[key].is_string())
      return test_case[key].get<std::string>();
  }
  return "case " + std::to_string(index);
}

}  // namespace orrery::test
