#include "controller/plan/service_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "controller/plan/health_check.h"
#include "controller/plan/user_text.h"

namespace vipkeeper::plan {

namespace {

// A check may be a mapping; everything else is a word.
YamlValue annotation_value(const ServiceOption& option, const std::string& text, const std::string& path,
                           Complaints& complaints) {
  if (option.field != "healthCheck")
    return {.type = YamlValue::Type::scalar, .text = text, .elements = {}, .members = {}};
  auto value = parse_yaml(text);
  if (value) return std::move(*value);
  complaints.add(path, value.error().message);
  return {};
}

// What the Service's annotations say of what the entry does not; a bad one says nothing.
void take_annotations(const ServiceReference& reference, const objects::Service& service, ServiceSays& says,
                      Remarks& remarks) {
  const ServiceSays entry = says;
  for (const auto& [name, text] : service.annotations) {
    const auto path = fmt::format("annotation vipkeeper.io/{} of Service {}", one_line(name), reference.to_string());
    Complaints complaints;
    const auto option = std::ranges::find(all_service_options(), name, &ServiceOption::annotation);
    if (option == all_service_options().end()) {
      std::vector<std::string_view> known;
      for (const auto& each : all_service_options()) known.push_back(each.annotation);
      complaints.add(path, unknown_name("option", name, known));
    } else if (!option->said(entry)) {
      ServiceSays taken = says;
      const auto value = annotation_value(*option, text, path, complaints);
      if (complaints.list().empty()) option->read(value, path, taken, complaints);
      if (complaints.list().empty()) says = std::move(taken);
    }
    for (const auto& complaint : complaints.list()) remarks.add(Severity::warning, complaint + "; left out");
  }
}

// What the engine cannot do yet is left out, and said.
void settle(const ServiceReference& reference, ServiceOptions& options) {
  const auto type = options.check.type;
  if (type != CheckType::tcp && type != CheckType::none) {
    options.check = {};
    options.remarks.add(Severity::error,
                        fmt::format("health check {} of Service {} is not available yet: TCP ports are checked by a "
                                    "connection instead, others not at all; write tcp or none",
                                    to_string(type), reference.to_string()));
  }
}

}  // namespace

ServiceOptions service_options(const ServiceReference& reference, const objects::Service& service) {
  ServiceOptions options;
  ServiceSays says = reference.says;
  take_annotations(reference, service, says, options.remarks);
  options.method = says.method.value_or(options.method);
  options.scheduler = says.scheduler.value_or(options.scheduler);
  options.persistence_seconds = says.persistence_seconds.value_or(service.affinity_seconds.value_or(0));
  options.check = says.check.value_or(options.check);
  options.masquerade = says.masquerade.value_or(options.masquerade);
  settle(reference, options);
  return options;
}

}  // namespace vipkeeper::plan
