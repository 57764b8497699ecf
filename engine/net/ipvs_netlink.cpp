#include "engine/net/ipvs_netlink.h"

#include <fmt/format.h>
#include <linux/ip_vs.h>
#include <linux/netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <set>
#include <system_error>
#include <utility>

#include "engine/net/ipvs_codec.h"
#include "engine/net/ipvs_module.h"
#include "engine/net/permission.h"

// How the kernel is talked to.
//
// Programming. Commands are packed into one send of up to 64 KiB (some 400), and only the last asks for an
// acknowledgement; the kernel works them off in order inside that one system call, and answers every command that fails
// by itself, with its sequence number. So a batch costs two system calls and its result is still known command by
// command: no error and the last one's acknowledgement seen means done. Were answers lost for want of buffer (ENOBUFS),
// those without one are reported as unknown, and the caller reads the table again.
//
// Reading. One dump gives the services, one dump for each service its destinations; a socket runs one dump at a time.
// Since Linux 2.6.28 all this is under the kernel's own mutex, so a dump is a consistent list, while between two dumps
// anything may happen: a service that went away in between has no destinations.
//
// All answers lie in the socket's buffer when the send returns or are made by the next receive, so nothing here waits
// for anybody; the receive time-out is a net for kernels that break this rule.
namespace vipkeeper::net {
namespace {

constexpr std::size_t batch_bytes = 64 * 1024;
// A failed command's answer costs the kernel about 1.3 KiB of our receive buffer (struct sk_buff included): this takes
// a whole batch of them. Beyond net.core.rmem_max it needs NET_ADMIN, which programming needs anyway.
constexpr int receive_buffer = 1024 * 1024;
constexpr int send_buffer = 4 * static_cast<int>(batch_bytes);
constexpr timeval receive_timeout{2, 0};

struct FreeBuffer {
  void operator()(unsigned char* buffer) const { free(buffer); }  // NOLINT: nl_recv() uses malloc
};

std::string text_of(int number) { return std::generic_category().message(number); }

Error no_permission() { return missing_right("program IPVS", "NET_ADMIN"); }

Error no_ipvs() {
  return {ErrorCode::unsupported,
          "this kernel has no IPVS (ip_vs is not loaded): run \"modprobe ip_vs\" on the host; without it virtual "
          "services are not balanced"};
}

// A failure of the socket or the family, not of one command.
Error table_error(std::string_view what, int number) {
  if (number == EPERM || number == EACCES) return no_permission();
  return {ErrorCode::unavailable, fmt::format("{}: {}", what, text_of(number))};
}

Error scheduler_error(const ipvs::Service& service) {
  return {ErrorCode::invalid_input, fmt::format("this kernel does not have the scheduler \"{0}\": run \"modprobe "
                                                "ip_vs_{0}\" on the host or choose another",
                                                service.scheduler)};
}

// Why the kernel refused this command (net/netfilter/ipvs/ip_vs_ctl.c).
Error refusal(const ipvs::Operation& operation, int number) {
  switch (number) {
    case EPERM:
    case EACCES:
      return no_permission();
    case ESRCH:
      return {ErrorCode::not_found, "the virtual service is not in the kernel"};
    case EEXIST:
      return {ErrorCode::already_exists, "it is in the kernel already"};
    case ENOENT:
      if (const auto* add = std::get_if<ipvs::AddService>(&operation)) return scheduler_error(add->service);
      if (const auto* set = std::get_if<ipvs::SetService>(&operation)) return scheduler_error(set->service);
      return {ErrorCode::not_found, "it is not in the kernel"};
    case EINVAL:
      if (std::holds_alternative<ipvs::AddDestination>(operation))
        return {ErrorCode::invalid_input, "the kernel takes only unicast addresses of hosts: " + text_of(number)};
      break;
    case ERANGE:
      return {ErrorCode::invalid_input, "a weight below 0, or a lower threshold above the upper: " + text_of(number)};
    case EAFNOSUPPORT:
      return {ErrorCode::invalid_input, "this kernel's IPVS does not have the address family"};
    case ENOMEM:
    case ENOBUFS:
      return {ErrorCode::unavailable, "the kernel is out of memory: " + text_of(number)};
    default:
      break;
  }
  return {ErrorCode::invalid_input, text_of(number)};
}

bool is_deletion(const ipvs::Operation& operation) {
  return std::holds_alternative<ipvs::DeleteService>(operation) ||
         std::holds_alternative<ipvs::DeleteDestination>(operation);
}

int error_of(nlmsghdr* header) {
  if (header->nlmsg_len < static_cast<std::uint32_t>(nlmsg_size(sizeof(int)))) return EBADMSG;
  int number = 0;
  std::memcpy(&number, nlmsg_data(header), sizeof number);
  return -number;
}

// One datagram: a list of messages, or the errno of the receive, negative.
class Datagram {
 public:
  explicit Datagram(nl_sock* socket) {
    sockaddr_nl from{};
    unsigned char* buffer = nullptr;
    errno = 0;
    length_ = nl_recv(socket, &from, &buffer, nullptr);
    // libnl turns errno into codes of its own, which tell less.
    if (length_ <= 0) error_ = errno != 0 ? errno : EAGAIN;
    buffer_.reset(buffer);
  }
  [[nodiscard]] int error() const { return error_; }

  // Calls visit(header) until it returns false; false if it did.
  template <class Visit>
  bool each(Visit visit) {
    // malloc aligns it for any type.
    void* start = buffer_.get();
    int rest = length_;
    for (auto* header = static_cast<nlmsghdr*>(start); nlmsg_ok(header, rest); header = nlmsg_next(header, &rest))
      if (!visit(header)) return false;
    return true;
  }

 private:
  std::unique_ptr<unsigned char, FreeBuffer> buffer_;
  int length_ = 0;
  int error_ = 0;
};

}  // namespace

IpvsNetlink::IpvsNetlink(bool load_module) : load_module_(load_module) {}
IpvsNetlink::~IpvsNetlink() = default;

void IpvsNetlink::FreeSocket::operator()(nl_sock* socket) const { nl_socket_free(socket); }

Result<int> IpvsNetlink::resolve_family() {
  errno = 0;
  int id = genl_ctrl_resolve(socket_.get(), IPVS_GENL_NAME);
  if (id == -NLE_OBJ_NOTFOUND && load_module_ && load_ipvs_module_once())
    id = genl_ctrl_resolve(socket_.get(), IPVS_GENL_NAME);
  if (id >= 0) return id;
  if (id == -NLE_OBJ_NOTFOUND) return std::unexpected(no_ipvs());
  if (id == -NLE_PERM) return std::unexpected(no_permission());
  return failure(ErrorCode::unavailable, fmt::format("looking up the kernel's IPVS: {}", nl_geterror(id)));
}

Result<void> IpvsNetlink::connect() {
  if (family_id_ != 0) return {};
  socket_.reset(nl_socket_alloc());
  if (!socket_) return failure(ErrorCode::unavailable, "no memory for a netlink socket");
  nl_socket_disable_msg_peek(socket_.get());
  nl_socket_set_msg_buf_size(socket_.get(), batch_bytes);
  if (const int error = genl_connect(socket_.get()); error < 0)
    return failure(ErrorCode::unavailable, fmt::format("opening a netlink socket: {}", nl_geterror(error)));
  const int fd = nl_socket_get_fd(socket_.get());
  const int yes = 1;
  // An answer without a copy of the command; all four are an economy or a net, and no error if they fail.
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &yes, sizeof yes);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer) != 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer, sizeof send_buffer) != 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive_timeout, sizeof receive_timeout);
  const auto family = resolve_family();
  if (!family) return std::unexpected(family.error());
  family_id_ = *family;
  return {};
}

// One request and all of its answer: a dump, or messages and an acknowledgement. The first error ends the handling, not
// the reading, so that nothing is left over for the next request.
Result<void> IpvsNetlink::ask(nl_msg* request, std::uint32_t sequence, const OnMessage& on_message) {
  nlmsghdr* header = nlmsg_hdr(request);
  errno = 0;
  if (nl_sendto(socket_.get(), header, header->nlmsg_len) < 0) {
    family_id_ = 0;
    return std::unexpected(table_error("asking the kernel for IPVS", errno));
  }
  Result<void> result;
  for (bool done = false; !done;) {
    Datagram datagram(socket_.get());
    if (datagram.error() != 0) {
      family_id_ = 0;  // whatever comes late must not be taken for an answer to something else
      return std::unexpected(table_error("reading IPVS from the kernel", datagram.error()));
    }
    datagram.each([&](nlmsghdr* message) {
      if (message->nlmsg_seq != sequence) return true;
      if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
        const int number = error_of(message);
        if (result && number == ESRCH) result = failure(ErrorCode::not_found, "it is not in the kernel");
        if (result && number == ENOENT) {
          // Nobody has the family's number any more: the module was unloaded.
          family_id_ = 0;
          result = std::unexpected(no_ipvs());
        }
        if (result && number > 0) result = std::unexpected(table_error("reading IPVS from the kernel", number));
        done = true;
      } else if (result) {
        result = on_message(message);
      }
      return true;
    });
  }
  return result;
}

Result<void> IpvsNetlink::dump_destinations(const ipvs::ServiceKey& key, const OnMessage& on_message) {
  const std::uint32_t sequence = sequence_++;
  return ask(build_get_destinations(key, family_id_, sequence).get(), sequence, on_message);
}

Result<ipvs::Table> IpvsNetlink::read() {
  if (auto connected = connect(); !connected) return std::unexpected(connected.error());
  ipvs::Table table;
  const std::uint32_t sequence = sequence_++;
  auto services = ask(build_get_services(family_id_, sequence).get(), sequence, [&](nlmsghdr* header) -> Result<void> {
    auto reply = parse_service(header);
    if (!reply) return std::unexpected(reply.error());
    table.try_emplace(reply->key, ipvs::ServiceEntry{std::move(reply->service), {}});
    return {};
  });
  if (!services) return std::unexpected(services.error());
  for (auto& [key, entry] : table) {
    auto destinations = dump_destinations(key, [&](nlmsghdr* header) -> Result<void> {
      const auto reply = parse_destination(header, key);
      if (!reply) return std::unexpected(reply.error());
      entry.destinations.try_emplace(reply->key, reply->destination);
      return {};
    });
    if (!destinations) return std::unexpected(destinations.error().with_context("real servers of " + key.to_string()));
  }
  return table;
}

Result<std::optional<ipvs::ServiceEntry>> IpvsNetlink::read(const ipvs::ServiceKey& key) {
  if (auto connected = connect(); !connected) return std::unexpected(connected.error());
  std::optional<ipvs::ServiceEntry> entry;
  const std::uint32_t sequence = sequence_++;
  auto found = ask(build_get_service(key, family_id_, sequence).get(), sequence, [&](nlmsghdr* header) -> Result<void> {
    auto reply = parse_service(header);
    if (!reply) return std::unexpected(reply.error());
    entry.emplace(std::move(reply->service));
    return {};
  });
  if (!found && found.error().code == ErrorCode::not_found) return std::nullopt;
  if (!found) return std::unexpected(found.error());
  if (!entry) return std::nullopt;
  auto destinations = dump_destinations(key, [&](nlmsghdr* header) -> Result<void> {
    const auto reply = parse_destination(header, key);
    if (!reply) return std::unexpected(reply.error());
    entry->destinations.try_emplace(reply->key, reply->destination);
    return {};
  });
  if (!destinations) return std::unexpected(destinations.error());
  return entry;
}

std::vector<Result<void>> IpvsNetlink::apply(const std::vector<ipvs::Operation>& operations) {
  std::vector<Result<void>> results(operations.size());
  if (auto connected = connect(); !connected) {
    results.assign(operations.size(), std::unexpected(connected.error()));
    return results;
  }
  const std::span all(operations);
  for (std::size_t done = 0; done < operations.size();)
    done += send_batch(all.subspan(done), std::span(results).subspan(done));
  return results;
}

// Sends as many of the commands as fit into one datagram and returns how many those were.
std::size_t IpvsNetlink::send_batch(std::span<const ipvs::Operation> operations, std::span<Result<void>> results) {
  const std::uint32_t first = sequence_;
  std::size_t count = 0, last_offset = 0;
  batch_.clear();
  for (const ipvs::Operation& operation : operations) {
    const MessagePtr message = build_operation(operation, family_id_, sequence_, 0);
    const nlmsghdr* header = nlmsg_hdr(message.get());
    const std::size_t size = NLMSG_ALIGN(header->nlmsg_len);
    if (count > 0 && batch_.size() + size > batch_bytes) break;
    last_offset = batch_.size();
    batch_.resize(last_offset + size);
    std::memcpy(batch_.data() + last_offset, header, header->nlmsg_len);
    ++sequence_;
    ++count;
  }
  std::uint16_t flags = NLM_F_REQUEST | NLM_F_ACK;
  std::memcpy(batch_.data() + last_offset + offsetof(nlmsghdr, nlmsg_flags), &flags, sizeof flags);

  errno = 0;
  if (nl_sendto(socket_.get(), batch_.data(), batch_.size()) < 0) {
    family_id_ = 0;
    std::ranges::fill(results.first(count), std::unexpected(table_error("programming IPVS", errno)));
    return count;
  }
  collect_answers(first, operations.first(count), results.first(count));
  return count;
}

void IpvsNetlink::collect_answers(std::uint32_t first, std::span<const ipvs::Operation> operations,
                                  std::span<Result<void>> results) {
  std::vector<bool> answered(operations.size());
  while (!answered.back()) {
    Datagram datagram(socket_.get());
    if (datagram.error() != 0) {
      family_id_ = 0;
      for (std::size_t i = 0; i < operations.size(); ++i)
        if (!answered[i])
          results[i] = failure(ErrorCode::io, "the kernel's answer was lost: " + text_of(datagram.error()));
      return;
    }
    datagram.each([&](nlmsghdr* message) {
      const std::size_t index = message->nlmsg_seq - first;
      if (message->nlmsg_type != NLMSG_ERROR || index >= operations.size()) return true;
      answered[index] = true;
      const int number = error_of(message);
      const bool gone_already = is_deletion(operations[index]) && (number == ENOENT || number == ESRCH);
      if (number != 0 && !gone_already) results[index] = std::unexpected(refusal(operations[index], number));
      return true;
    });
  }
}

Result<std::map<ipvs::ServiceKey, ipvs::ServiceStats>> IpvsNetlink::read_stats() { return read_stats({}); }

Result<std::map<ipvs::ServiceKey, ipvs::ServiceStats>> IpvsNetlink::read_stats(std::span<const ipvs::ServiceKey> keys) {
  if (auto connected = connect(); !connected) return std::unexpected(connected.error());
  std::map<ipvs::ServiceKey, ipvs::ServiceStats> all;
  const std::uint32_t sequence = sequence_++;
  auto services = ask(build_get_services(family_id_, sequence).get(), sequence, [&](nlmsghdr* header) -> Result<void> {
    auto reply = parse_service(header);
    if (!reply) return std::unexpected(reply.error());
    all.try_emplace(reply->key, std::move(reply->stats));
    return {};
  });
  if (!services) return std::unexpected(services.error());
  if (!keys.empty()) {
    const std::set<ipvs::ServiceKey> asked(keys.begin(), keys.end());
    std::erase_if(all, [&](const auto& item) { return !asked.contains(item.first); });
  }
  for (auto& [key, stats] : all) {
    auto destinations = dump_destinations(key, [&](nlmsghdr* header) -> Result<void> {
      const auto reply = parse_destination(header, key);
      if (!reply) return std::unexpected(reply.error());
      stats.destinations.try_emplace(reply->key, reply->stats);
      return {};
    });
    if (!destinations) return std::unexpected(destinations.error());
  }
  return all;
}

}  // namespace vipkeeper::net
