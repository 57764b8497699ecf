#include "engine/net/netlink/ipvs_answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "engine/net/permission.h"

namespace vipkeeper::net {
namespace {

using ipvs::OperationError;
using ipvs::TableError;
using Kind = OperationError::Kind;

std::string text_of(int number) { return std::generic_category().message(number); }

TableError family_gone() {
  return {{ErrorCode::unavailable, "the kernel's IPVS was unloaded or loaded anew, it is looked up again"}};
}

// Generic netlink's own words: nobody has the family's number, somebody has it who does not know the command.
bool may_be_of_generic_netlink(int number) { return number == ENOENT || number == EOPNOTSUPP; }

// ip_vs never says ENOENT of these.
bool is_enoent_of_generic_netlink(const ipvs::Operation& operation) {
  return std::holds_alternative<ipvs::DeleteService>(operation) ||
         std::holds_alternative<ipvs::AddDestination>(operation);
}

// What is not about this command alone. ENOPROTOOPT: the module is on its way out.
std::optional<TableError> error_of_the_table(const ipvs::Operation& operation, int number) {
  if (number == EPERM || number == EACCES) return no_permission();
  if (number == EOPNOTSUPP || number == ENOPROTOOPT) return family_gone();
  if (number == ENOENT && is_enoent_of_generic_netlink(operation)) return family_gone();
  return std::nullopt;
}

OperationError scheduler_missing(const ipvs::Service& service) {
  return {Kind::refused, fmt::format("this kernel does not have the scheduler \"{0}\": run \"modprobe ip_vs_{0}\" on "
                                     "the host or choose another",
                                     service.scheduler)};
}

OperationError refusal(int number) {
  switch (number) {
    case ESRCH:
      return {Kind::gone, "the virtual service is not in the kernel"};
    case ENOENT:
      return {Kind::gone, "it is not in the kernel"};
    case EEXIST:
      return {Kind::taken, "it is in the kernel already"};
    case ENOMEM:
    case ENOBUFS:
      return {Kind::exhausted, "the kernel is out of memory: " + text_of(number)};
    case ERANGE:
      return {Kind::refused, "a weight below 0, or a lower threshold above the upper: " + text_of(number)};
    case EAFNOSUPPORT:
      return {Kind::refused, "this kernel's IPVS does not have the address family"};
    default:
      return {Kind::refused, text_of(number)};
  }
}

OperationError refusal(const ipvs::Operation& operation, int number) {
  if (number == ENOENT) {
    if (const auto* add = std::get_if<ipvs::AddService>(&operation)) return scheduler_missing(add->service);
    if (const auto* set = std::get_if<ipvs::SetService>(&operation)) return scheduler_missing(set->service);
  }
  if (number == EINVAL && std::holds_alternative<ipvs::AddDestination>(operation))
    return {Kind::refused, "the kernel takes only unicast addresses of hosts: " + text_of(number)};
  return refusal(number);
}

bool is_done(const ipvs::Operation& operation, int number) {
  if (number == 0) return true;
  if (std::holds_alternative<ipvs::DeleteService>(operation)) return number == ESRCH;
  if (std::holds_alternative<ipvs::DeleteDestination>(operation)) return number == ESRCH || number == ENOENT;
  return false;
}

}  // namespace

TableError no_permission() { return {missing_right("program IPVS", "NET_ADMIN")}; }

TableError no_ipvs() {
  return {{ErrorCode::unsupported,
           "this kernel has no IPVS (ip_vs is not loaded): run \"modprobe ip_vs\" on the host; without it virtual "
           "services are not balanced"}};
}

TableError table_error(std::string_view what, int number) {
  if (number == EPERM || number == EACCES) return no_permission();
  return {{ErrorCode::unavailable, fmt::format("{}: {}", what, text_of(number))}};
}

ipvs::Applied judge_answers(std::span<const ipvs::Operation> operations, std::span<const std::optional<int>> numbers,
                            const std::function<bool()>& family_stands) {
  ipvs::Applied result;
  std::optional<bool> stands;
  if (std::ranges::any_of(numbers, [](const auto& number) { return number && !may_be_of_generic_netlink(*number); }))
    stands = true;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (!numbers[i]) {
      result.table_error = TableError{{ErrorCode::io, "an answer of the kernel was lost"}};
      return result;
    }
    const int number = *numbers[i];
    result.table_error = error_of_the_table(operations[i], number);
    if (!result.table_error && number == ENOENT) {
      if (!stands) stands = family_stands();
      if (!*stands) result.table_error = family_gone();
    }
    if (result.table_error) return result;
    if (is_done(operations[i], number))
      result.answers.emplace_back();
    else
      result.answers.emplace_back(std::unexpected(refusal(operations[i], number)));
  }
  return result;
}

ipvs::ReadError judge_question(int number) {
  if (number == EPERM || number == EACCES) return no_permission();
  // ip_vs says ESRCH of what is not there.
  if (may_be_of_generic_netlink(number)) return family_gone();
  return refusal(number);
}

}  // namespace vipkeeper::net
