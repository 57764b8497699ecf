#pragma once

#include <string>

#include "controller/report/api.h"

// What an answer means for who asked.
namespace vipkeeper::report {

// Nobody answered, the token was just replaced, or the server asks for patience: the same request may do better later.
bool is_passing(const ApiAnswer& answer);

// A right is missing. A namespace that is being deleted says 403 too, whatever the rights: that is not meant.
bool is_forbidden(const ApiAnswer& answer);

// The message of a Status object, else the text; short and on one line.
std::string message_in(const ApiAnswer& answer);

// Cut to at most so many bytes, never within a character of UTF-8.
std::string shortened(const std::string& text, std::size_t longest);

}  // namespace vipkeeper::report
