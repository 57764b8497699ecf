#include "controller/manifests/manifest.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/manifests/document.h"
#include "controller/objects/json.h"

namespace vipkeeper::manifests {

using nlohmann::json;

namespace {

class ManifestReader {
 public:
  explicit ManifestReader(std::string_view text) : text_(text) {}

  void read_document(std::size_t index, Document document) {
    index_ = index;
    if (!document.value.is_object()) {
      fail(document.line, "this document is no object: expected a mapping with apiVersion, kind and metadata");
      return;
    }
    read_object(std::move(document.value), {});
  }

  Manifest finish() {
    // stable: of equal keys the one further down stays behind the others.
    std::ranges::stable_sort(read_, {}, [](const Read& read) -> const objects::ObjectKey& { return read.object.key; });
    for (std::size_t i = 0; i < read_.size(); ++i) {
      if (i + 1 < read_.size() && read_[i].object.key == read_[i + 1].object.key) {
        manifest_.problems.push_back({false, line(read_[i]),
                                      fmt::format("{} is written again at line {}, which stands: remove one of them",
                                                  read_[i].object.key.to_string(), line(read_[i + 1]))});
        continue;
      }
      manifest_.objects.push_back(std::move(read_[i].object));
    }
    return std::move(manifest_);
  }

 private:
  struct Read {
    ManifestObject object;
    std::size_t document;
    std::string path;
  };

  static bool is_list(const json& object, const std::string& kind) {
    return kind.ends_with("List") && object.contains("items");
  }

  void read_object(json object, const std::string& path) {
    const auto kind = object.find("kind");
    if (kind == object.end() || !kind->is_string() || kind->get_ref<const std::string&>().empty()) {
      fail_at(join(path, "kind"), "kind: missing or no text: what is this object?");
      return;
    }
    const std::string name = kind->get<std::string>();
    if (is_list(object, name)) {
      read_list(std::move(object), name, path);
      return;
    }
    const auto metadata = object.find("metadata");
    if (metadata != object.end() && metadata->is_object() && name != "Node") {
      json& name_space = (*metadata)["namespace"];
      if (name_space.is_null() || name_space == "") name_space = "default";
    }
    auto parsed = objects::parse_object(object);
    if (!parsed) {
      const std::string& message = parsed.error().message;
      fail_at(join(path, field_of(message)), message);
      return;
    }
    if (!*parsed) return;
    read_.push_back({{std::move((*parsed)->key), std::make_shared<const objects::Object>(std::move((*parsed)->object))},
                     index_,
                     path});
  }

  void read_list(json list, const std::string& kind, const std::string& path) {
    json& items = list["items"];
    if (items.is_null()) return;
    if (!items.is_array()) {
      fail_at(join(path, "items"), "items: expected a list of objects");
      return;
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
      const std::string item_path = fmt::format("{}[{}]", join(path, "items"), i);
      json& item = items[i];
      if (!item.is_object()) {
        fail_at(item_path, item_path + ": expected an object");
        continue;
      }
      // The API server leaves these out in a list of one kind.
      if (kind != "List") {
        if (!item.contains("kind")) item["kind"] = kind.substr(0, kind.size() - 4);
        if (!item.contains("apiVersion") && list.contains("apiVersion")) item["apiVersion"] = list["apiVersion"];
      }
      read_object(std::move(item), item_path);
    }
  }

  // "Service default/web: spec.ports[1].port: must be ..." -> "spec.ports[1].port"
  static std::string_view field_of(std::string_view message) {
    while (true) {
      const std::size_t colon = message.find(": ");
      if (colon == std::string_view::npos) return {};
      const std::string_view part = message.substr(0, colon);
      if (part.find(' ') == std::string_view::npos) return part;
      message.remove_prefix(colon + 2);
    }
  }
  static std::string join(const std::string& path, std::string_view field) {
    if (field.empty()) return path;
    return path.empty() ? std::string(field) : fmt::format("{}.{}", path, field);
  }
  [[nodiscard]] std::size_t line(const Read& read) const { return locate_field(text_, read.document, read.path); }
  void fail_at(const std::string& field, const std::string& message) {
    fail(locate_field(text_, index_, field), message);
  }
  void fail(std::size_t at, std::string message) {
    manifest_.problems.push_back({true, at, std::move(message)});
    manifest_.incomplete = true;
  }

  std::string_view text_;
  std::size_t index_ = 0;
  std::vector<Read> read_;
  Manifest manifest_;
};

}  // namespace

Manifest parse_manifest(std::string_view text, bool as_json) {
  Documents documents = as_json ? parse_json(text) : parse_yaml(text);
  if (!documents) {
    Manifest manifest;
    manifest.unreadable = true;
    manifest.incomplete = true;
    manifest.problems.push_back(
        {true, documents.error().line,
         fmt::format("not readable as {}: {}", as_json ? "JSON" : "YAML", documents.error().message)});
    return manifest;
  }
  ManifestReader reader(text);
  for (std::size_t i = 0; i < documents->size(); ++i) reader.read_document(i, std::move((*documents)[i]));
  return reader.finish();
}

}  // namespace vipkeeper::manifests
