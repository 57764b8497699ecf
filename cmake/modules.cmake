# One target a folder (design: a wrong include does not link). A module's sources are the folder's *.cpp.

add_library(vipkeeper_flags INTERFACE)
target_include_directories(vipkeeper_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(vipkeeper_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast
  -Wcast-align -Woverloaded-virtual -Wnull-dereference -Wimplicit-fallthrough)
# The program names only the libraries it calls; the image carries no others.
target_link_options(vipkeeper_flags INTERFACE -Wl,--as-needed)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  # It reads packets from the network with two capabilities: a read past the end of a container ends it, a peer takes over.
  target_compile_definitions(vipkeeper_flags INTERFACE _GLIBCXX_ASSERTIONS _FORTIFY_SOURCE=2)
  target_compile_options(vipkeeper_flags INTERFACE -fstack-protector-strong)
  target_link_options(vipkeeper_flags INTERFACE -Wl,-z,relro,-z,now)
endif()
if(VIPKEEPER_WERROR)
  target_compile_options(vipkeeper_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these inside libstdc++'s own inlined code (GCC bugs 105329, 105562, 105651, 107138).
  target_compile_options(vipkeeper_flags INTERFACE -Wno-restrict -Wno-maybe-uninitialized -Wno-null-dereference
    -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
  # A precompiled header and ccache agree only on a preprocessed view that names the header.
  target_compile_options(vipkeeper_flags INTERFACE -fpch-preprocess)
endif()
if(VIPKEEPER_SANITIZE)
  target_compile_options(vipkeeper_flags INTERFACE -fsanitize=${VIPKEEPER_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(vipkeeper_flags INTERFACE -fsanitize=${VIPKEEPER_SANITIZE})
  # g++ 12 with sanitizers finds strings "maybe null" that are not.
  target_compile_options(vipkeeper_flags INTERFACE -Wno-nonnull -Wno-tsan)
endif()

if(VIPKEEPER_FUZZERS)
  # Everything a fuzzer reaches is instrumented, or its corpus does not grow with new paths.
  target_compile_options(vipkeeper_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(vipkeeper_flags INTERFACE -fsanitize=address,undefined)
endif()

# vipkeeper_module(engine_config DEPENDS engine_base [LIBRARIES PkgConfig::X] [PRECOMPILE <header>])
function(vipkeeper_module name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LIBRARIES;PRECOMPILE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cpp)
  file(GLOB headers CONFIGURE_DEPENDS *.h)
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC vipkeeper_flags ${ARG_DEPENDS} ${ARG_LIBRARIES})
    if(ARG_PRECOMPILE)
      target_precompile_headers(${name} PRIVATE ${ARG_PRECOMPILE})
    endif()
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE vipkeeper_flags ${ARG_DEPENDS} ${ARG_LIBRARIES})
  endif()
  if(headers)
    # Target all_verify_interface_header_sets compiles each header by itself, with what the folder's users see.
    if(sources)
      set(scope PUBLIC)
    else()
      set(scope INTERFACE)
    endif()
    target_sources(${name} ${scope} FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${headers})
    set_target_properties(${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  endif()
endfunction()

# vipkeeper_test(engine_config DEPENDS engine_config): the folder's *.cpp as one Catch2 program, test_engine_config.
function(vipkeeper_test name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  target_link_libraries(test_${name} PRIVATE catch_main ${ARG_DEPENDS} ${ARG_LIBRARIES})
  target_precompile_headers(test_${name} REUSE_FROM catch_main)
  add_test(NAME ${name} COMMAND test_${name})
  set_property(GLOBAL APPEND PROPERTY VIPKEEPER_TEST_TARGETS test_${name})
endfunction()

# vipkeeper_fuzzer(config_parser DEPENDS engine_config): config_parser.cpp of the folder as the libFuzzer program
# fuzz_config_parser; its seeds, if any, are the files of the folder corpus/config_parser.
function(vipkeeper_fuzzer name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LIBRARIES" ${ARGN})
  add_executable(fuzz_${name} ${name}.cpp)
  target_link_libraries(fuzz_${name} PRIVATE ${ARG_DEPENDS} ${ARG_LIBRARIES})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  set_property(GLOBAL APPEND PROPERTY VIPKEEPER_FUZZ_TARGETS fuzz_${name})
endfunction()
