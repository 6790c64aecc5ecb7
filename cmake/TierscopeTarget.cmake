# How every target of the project is declared: warnings, floating-point rules, include root.

add_library(tierscope_flags INTERFACE)
add_library(tierscope::flags ALIAS tierscope_flags)
target_compile_features(tierscope_flags INTERFACE cxx_std_20)
target_include_directories(tierscope_flags SYSTEM INTERFACE
  $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/generated>)
target_include_directories(tierscope_flags INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/tierscope>)
# Results are byte-identical on any x86-64: no fused multiply-add that the source does not spell out.
target_compile_options(tierscope_flags INTERFACE $<BUILD_INTERFACE:-ffp-contract=off>)
install(TARGETS tierscope_flags EXPORT tierscope-targets)

set(TIERSCOPE_WARNINGS -Wall -Wextra -Wshadow -Wconversion -Werror)

# tierscope_library(NAME SOURCES a.cc b.cc DEPS tierscope::x absl::y)
function(tierscope_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(tierscope_${name} STATIC ${ARG_SOURCES})
  add_library(tierscope::${name} ALIAS tierscope_${name})
  set_target_properties(tierscope_${name} PROPERTIES EXPORT_NAME ${name})
  target_compile_options(tierscope_${name} PRIVATE ${TIERSCOPE_WARNINGS})
  target_link_libraries(tierscope_${name} PUBLIC tierscope::flags ${ARG_DEPS})
  install(TARGETS tierscope_${name} EXPORT tierscope-targets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endfunction()

# tierscope_proto(NAME dir/file.proto): a library of generated messages, included by their path from the root.
function(tierscope_proto name proto)
  add_library(tierscope_${name} STATIC)
  add_library(tierscope::${name} ALIAS tierscope_${name})
  set_target_properties(tierscope_${name} PROPERTIES EXPORT_NAME ${name})
  # Not protobuf_generate: it names the outputs from the current folder, we include from the root.
  string(REPLACE ".proto" ".pb" stem ${proto})
  set(outputs ${PROJECT_BINARY_DIR}/generated/${stem}.cc ${PROJECT_BINARY_DIR}/generated/${stem}.h)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/generated)
  add_custom_command(OUTPUT ${outputs}
    COMMAND protobuf::protoc --cpp_out=${PROJECT_BINARY_DIR}/generated -I ${PROJECT_SOURCE_DIR}
            ${PROJECT_SOURCE_DIR}/${proto}
    DEPENDS ${PROJECT_SOURCE_DIR}/${proto} protobuf::protoc
    COMMENT "Generating C++ from ${proto}" VERBATIM)
  target_sources(tierscope_${name} PRIVATE ${outputs})
  target_link_libraries(tierscope_${name} PUBLIC tierscope::flags protobuf::libprotobuf)
  cmake_path(GET proto PARENT_PATH folder)
  install(FILES ${PROJECT_BINARY_DIR}/generated/${stem}.h
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tierscope/${folder})
  install(TARGETS tierscope_${name} EXPORT tierscope-targets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endfunction()

# tierscope_headers(DIR): installs the public headers of a folder under include/tierscope.
function(tierscope_headers dir)
  file(GLOB headers RELATIVE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/${dir}/*.h)
  foreach(header ${headers})
    install(FILES ${PROJECT_SOURCE_DIR}/${header}
            DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tierscope/${dir})
  endforeach()
endfunction()
