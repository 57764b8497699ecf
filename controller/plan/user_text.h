#pragma once

#include <string>
#include <string_view>

// Text that a user wrote, as it is read and as a message may show it.
namespace vipkeeper::plan {

// Without white space around.
std::string_view trimmed(std::string_view text);

// On one line, short, with blanks for other white space, and what cannot be seen by its number (visible_text.h).
std::string one_line(std::string_view text);
// The same in quotes.
std::string quoted(std::string_view text);

// RFC 1123 label, the form of a namespace's, a Service's and a port's name. Being this strict keeps everything else out
// of the generated text.
bool is_label(std::string_view text);

}  // namespace vipkeeper::plan
