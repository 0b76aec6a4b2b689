// Runs LLVMFuzzerTestOneInput over every file of the folders given, and over the empty input and
// prefixes of each file, so that a corpus is a regression test where no fuzzing engine is linked.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  std::size_t inputs = 0;
  LLVMFuzzerTestOneInput(nullptr, 0);
  for (int i = 1; i < argc; ++i) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i], error)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      const std::vector<char> bytes(std::istreambuf_iterator<char>(in), {});
      const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
      // A copy of exact size per prefix lets AddressSanitizer see any read past the end.
      const std::size_t step = bytes.size() > 512 ? bytes.size() / 256 : 1;
      for (std::size_t n = 0; n < bytes.size(); n += step) {
        const std::vector<std::uint8_t> prefix(data, data + n);
        LLVMFuzzerTestOneInput(prefix.data(), prefix.size());
      }
      const std::vector<std::uint8_t> whole(data, data + bytes.size());
      LLVMFuzzerTestOneInput(whole.data(), whole.size());
      ++inputs;
    }
    if (error) {
      std::fprintf(stderr, "cannot read corpus %s: %s\n", argv[i], error.message().c_str());
      return 1;
    }
  }
  if (inputs == 0) {
    std::fprintf(stderr, "no corpus file found\n");
    return 1;
  }
  std::printf("%zu corpus inputs replayed\n", inputs);
  return 0;
}
