#pragma once

#include <string>
#include <string_view>

namespace vipkeeper {

// A text of somebody else's as a message may show it: UTF-8, and every character that cannot be seen, or told from
// another, as its number ("\ufeff" for a byte order mark): controls, spaces that are no blank, marks without width and
// those that turn the direction of writing. A byte that is no UTF-8 is shown by its own number.
std::string visible(std::string_view text);

}  // namespace vipkeeper
