#pragma once

#include <cstdint>

#include "engine/ipvs/table.h"
#include "engine/net/netlink/netlink_socket.h"

// IPVS values as generic netlink messages and back (linux/ip_vs.h, IPVS_CMD_* and the attributes of each level). Every
// attribute read is checked against a policy first: a wrong one is an error here, not a riddle later.
namespace vipkeeper::net {

// The command as one netlink message. `flags` are NLM_F_*; NLM_F_REQUEST is added.
MessagePtr build_operation(const ipvs::Operation& operation, int family_id, std::uint32_t sequence, int flags);

// IPVS_CMD_GET_SERVICE: of one service, or of all (a dump).
MessagePtr build_get_services(int family_id, std::uint32_t sequence);
MessagePtr build_get_service(const ipvs::ServiceKey& key, int family_id, std::uint32_t sequence);
// IPVS_CMD_GET_DEST, a dump of one service's destinations.
MessagePtr build_get_destinations(const ipvs::ServiceKey& key, int family_id, std::uint32_t sequence);

struct ServiceReply {
  ipvs::ServiceKey key;
  ipvs::Service service;
  ipvs::ServiceStats stats;  // without destinations
};
struct DestinationReply {
  ipvs::DestinationKey key;
  ipvs::Destination destination;
  ipvs::DestinationStats stats;
};

// One message of a reply; an Error{io} that names what is missing or malformed. `service` is the one asked about:
// kernels before 3.18 do not say the family of a destination.
Result<ServiceReply> parse_service(nlmsghdr* header);
Result<DestinationReply> parse_destination(nlmsghdr* header, const ipvs::ServiceKey& service);

}  // namespace vipkeeper::net
