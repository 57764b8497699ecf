#include <fmt/format.h>

#include <charconv>
#include <map>
#include <optional>
#include <utility>

#include "engine/run/record/ownership.h"

// The lines of the ownership record: flat JSON objects whose values are strings and unsigned numbers. This is all of
// JSON that the record has, so it is all that is read; the engine needs no JSON library for it.
namespace vipkeeper::run {
namespace {

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

struct Value {
  std::string text;
  bool is_number = false;
};

// {"name":"value","name":123}; white space between tokens is allowed, nesting is not.
class FlatObject {
 public:
  static Result<FlatObject> parse(std::string_view text) {
    FlatObject object;
    object.rest_ = text;
    if (!object.expect('{')) return malformed();
    do {
      const auto name = object.string();
      if (!name || !object.expect(':')) return malformed();
      auto value = object.value();
      if (!value) return malformed();
      if (!object.fields_.emplace(*name, std::move(*value)).second)
        return failure(ErrorCode::invalid_input, fmt::format("\"{}\" twice", *name));
    } while (object.expect(','));
    if (!object.expect('}')) return malformed();
    object.skip_space();
    return object.rest_.empty() ? Result<FlatObject>(std::move(object)) : malformed();
  }

  // Takes the field out, so that what is left at the end is unknown.
  std::optional<std::string> take_text(const std::string& name) { return take(name, false); }
  std::optional<std::uint32_t> take_number(const std::string& name, std::uint32_t at_most) {
    const auto text = take(name, true);
    std::uint32_t number = 0;
    if (!text || std::from_chars(text->data(), text->data() + text->size(), number).ec != std::errc())
      return std::nullopt;
    return number <= at_most ? std::optional(number) : std::nullopt;
  }
  [[nodiscard]] std::string any_left() const { return fields_.empty() ? std::string() : fields_.begin()->first; }

 private:
  static Result<FlatObject> malformed() { return failure(ErrorCode::invalid_input, "not an object of the record"); }

  std::optional<std::string> take(const std::string& name, bool is_number) {
    const auto found = fields_.find(name);
    if (found == fields_.end() || found->second.is_number != is_number) return std::nullopt;
    return std::move(fields_.extract(found).mapped().text);
  }
  void skip_space() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) rest_.remove_prefix(1);
  }
  bool expect(char wanted) {
    skip_space();
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::optional<std::string> string() {
    if (!expect('"')) return std::nullopt;
    std::string text;
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return text;
      if (c == '\\') {
        if (rest_.empty() || (rest_.front() != '"' && rest_.front() != '\\')) return std::nullopt;
        c = rest_.front();
        rest_.remove_prefix(1);
      }
      text += c;
    }
    return std::nullopt;
  }
  std::optional<Value> value() {
    skip_space();
    if (!rest_.empty() && rest_.front() == '"') {
      auto text = string();
      return text ? std::optional(Value{std::move(*text), false}) : std::nullopt;
    }
    const std::size_t digits = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    if (digits == 0 || digits > 10) return std::nullopt;
    Value number{std::string(rest_.substr(0, digits)), true};
    rest_.remove_prefix(digits);
    return number;
  }

  std::string_view rest_;
  std::map<std::string, Value> fields_;
};

std::unexpected<Error> wrong(std::string_view field) {
  return failure(ErrorCode::invalid_input, fmt::format("\"{}\" is missing or wrong", field));
}

Result<ipvs::ServiceKey> read_service(FlatObject& object) {
  ipvs::ServiceKey key;
  if (const auto fwmark = object.take_number("fwmark", ~std::uint32_t{0})) {
    const auto family = object.take_text("family");
    if (*fwmark == 0) return wrong("fwmark");
    if (!family || (*family != "ipv4" && *family != "ipv6")) return wrong("family");
    key.fwmark = *fwmark;
    key.family = *family == "ipv6" ? Family::ipv6 : Family::ipv4;
    return ipvs::normalized(key);
  }
  const auto protocol = object.take_text("protocol");
  const auto address = IpAddress::parse(object.take_text("address").value_or(""));
  const auto port = object.take_number("port", 65535);
  if (!address) return wrong("address");
  if (!port) return wrong("port");
  for (const Protocol candidate : {Protocol::tcp, Protocol::udp, Protocol::sctp}) {
    if (protocol != to_string(candidate)) continue;
    key.protocol = candidate;
    key.address = *address;
    key.port = static_cast<std::uint16_t>(*port);
    return ipvs::normalized(key);
  }
  return wrong("protocol");
}

Result<OwnedAddress> read_address(FlatObject& object) {
  const auto prefix = IpPrefix::parse(object.take_text("prefix").value_or(""));
  const auto interface = object.take_text("interface");
  if (!prefix) return wrong("prefix");
  if (!interface || interface->empty()) return wrong("interface");
  return OwnedAddress{*prefix, *interface};
}

std::string fields_of(const ipvs::ServiceKey& key) {
  if (key.fwmark != 0) return fmt::format("\"fwmark\":{},\"family\":\"{}\"", key.fwmark, to_string(key.family));
  return fmt::format("\"protocol\":\"{}\",\"address\":\"{}\",\"port\":{}", to_string(key.protocol),
                     key.address.to_string(), key.port);
}

std::string fields_of(const OwnedAddress& address) {
  return fmt::format("\"prefix\":\"{}\",\"interface\":{}", address.prefix.to_string(), quoted(address.interface));
}

}  // namespace

std::string serialize(const OwnershipLine& line) {
  const bool is_service = std::holds_alternative<ipvs::ServiceKey>(line.what);
  const std::string fields = std::visit([](const auto& what) { return fields_of(what); }, line.what);
  return fmt::format("{{\"{}\":\"{}\",{}}}", line.claim ? "claim" : "release", is_service ? "service" : "address",
                     fields);
}

Result<OwnershipLine> parse_ownership_line(std::string_view text) {
  auto object = FlatObject::parse(text);
  if (!object) return std::unexpected(object.error());
  const auto claim = object->take_text("claim");
  const auto kind = claim ? claim : object->take_text("release");
  OwnershipLine line{claim.has_value(), {}};
  if (kind == "service") {
    const auto key = read_service(*object);
    if (!key) return std::unexpected(key.error());
    line.what = *key;
  } else if (kind == "address") {
    auto address = read_address(*object);
    if (!address) return std::unexpected(address.error());
    line.what = std::move(*address);
  } else {
    return wrong(claim ? "claim" : "release");
  }
  if (const std::string left = object->any_left(); !left.empty())
    return failure(ErrorCode::invalid_input, fmt::format("\"{}\" is unknown", left));
  return line;
}

}  // namespace vipkeeper::run
