#pragma once

#include <span>
#include <string_view>

namespace vipkeeper {

// The nearest of `candidates` by typing slips (insert, delete, replace, swap; a beginning is one), or empty if none is
// near enough.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace vipkeeper
