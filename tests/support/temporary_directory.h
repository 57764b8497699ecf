#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace vipkeeper::tests {

// A fresh directory that goes with all its content when the test ends.
struct TemporaryDirectory {
  std::string path;

  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vipkeeper-test-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
};

}  // namespace vipkeeper::tests
