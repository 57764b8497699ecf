# cmake -DOUTPUT=FILE.cpp -DDIRECTORY=templates -P embed.cmake: the built-in templates as a C++ source, so that the binary
# needs no files of its own.
set(source "// Made from templates/*.mustache by controller/render/embed.cmake.\n")
string(APPEND source "#include \"controller/render/built_in.h\"\n\nnamespace vipkeeper::render {\n\n")
foreach(name globals vrrp_instance virtual_server)
  file(READ "${DIRECTORY}/${name}.mustache" text)
  string(APPEND source "const std::string_view built_in_${name} = R\"mustache(${text})mustache\";\n\n")
endforeach()
string(APPEND source "}  // namespace vipkeeper::render\n")
file(WRITE "${OUTPUT}" "${source}")
