#pragma once

#define _TURN_OFF_PLATFORM_STRING  // a macro U would break fmt
#include <cpprest/streams.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <ios>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace vipkeeper::kube {

// The library's stream buffer as a callback: `take` gets the bytes of a body as they come, and says whether it wants
// more. Write-only.
class CallbackBuffer final : public Concurrency::streams::details::streambuf_state_manager<std::uint8_t> {
  using Base = Concurrency::streams::details::streambuf_state_manager<std::uint8_t>;

 public:
  using Take = std::function<bool(std::string_view)>;
  explicit CallbackBuffer(Take take) : Base(std::ios_base::out), take_(std::move(take)) {}

  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  std::size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(std::size_t, std::ios_base::openmode) override {}
  std::size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return eof_position(); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override { return eof_position(); }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override { return eof_position(); }
  bool acquire(std::uint8_t*& pointer, std::size_t& count) override {
    pointer = nullptr;
    count = 0;
    return false;
  }
  void release(std::uint8_t*, std::size_t) override {}

  // The library writes with this one only. The base's own waits for another task when one fails, which on a pool of one
  // thread is for ever.
  pplx::task<std::size_t> putn_nocopy(const std::uint8_t* bytes, std::size_t count) override {
    // uint8_t and char are the same bytes.
    if (count <= longest && take_({reinterpret_cast<const char*>(bytes), count})) {
      return pplx::task_from_result<std::size_t>(count);
    }
    // Any number would be taken for success, or for a reason to try again at once.
    return pplx::task_from_exception<std::size_t>(std::length_error("the body is not wanted"));
  }

 protected:
  pplx::task<std::size_t> _putn(const std::uint8_t* bytes, std::size_t count) override {
    return putn_nocopy(bytes, count);
  }
  pplx::task<int_type> _putc(std::uint8_t byte) override {
    return _putn(&byte, 1).then([byte](std::size_t) { return static_cast<int_type>(byte); });
  }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  std::uint8_t* _alloc(std::size_t) override { return nullptr; }
  void _commit(std::size_t) override {}

  pplx::task<int_type> _bumpc() override { return no_byte(); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return no_byte(); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return no_byte(); }
  pplx::task<int_type> _ungetc() override { return no_byte(); }
  pplx::task<std::size_t> _getn(std::uint8_t*, std::size_t) override { return pplx::task_from_result<std::size_t>(0); }
  std::size_t _scopy(std::uint8_t*, std::size_t) override { return 0; }

 private:
  static constexpr std::size_t longest = 256 * 1024 * 1024;

  static pos_type eof_position() { return static_cast<pos_type>(traits::eof()); }
  static pplx::task<int_type> no_byte() { return pplx::task_from_result<int_type>(traits::eof()); }

  Take take_;
};

}  // namespace vipkeeper::kube
