# Turns HAKMEM_SANITIZER, HAKMEM_FUZZ and HAKMEM_CHECKS into flags for the whole build, and reads
# options.txt into HAKMEM_SANITIZER_ENVIRONMENT, which hakmem_test() hands to every test. A report
# is always fatal and nothing is suppressed.

set(hakmem_sanitizers "")
if(HAKMEM_SANITIZER STREQUAL "address")
  # One build for both: neither hides what the other sees, and the second build would take as long
  # as the first.
  set(hakmem_sanitizers address,undefined)
elseif(HAKMEM_SANITIZER STREQUAL "thread")
  set(hakmem_sanitizers thread)
elseif(HAKMEM_SANITIZER STREQUAL "memory")
  set(hakmem_sanitizers memory)
  # Where a byte that nobody wrote came from.
  add_compile_options(-fsanitize-memory-track-origins)
elseif(NOT HAKMEM_SANITIZER STREQUAL "")
  message(FATAL_ERROR
    "HAKMEM_SANITIZER=${HAKMEM_SANITIZER}: use address (and undefined behaviour), thread, memory or nothing")
endif()

if(HAKMEM_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR
      "HAKMEM_FUZZ needs clang: libFuzzer comes with it. Use `cmake --preset fuzz`.")
  endif()
  if(NOT HAKMEM_SANITIZER STREQUAL "address")
    message(FATAL_ERROR "HAKMEM_FUZZ needs HAKMEM_SANITIZER=address. Use `cmake --preset fuzz`.")
  endif()
  string(PREPEND hakmem_sanitizers "fuzzer-no-link,")
endif()

if(hakmem_sanitizers)
  add_compile_options(-fsanitize=${hakmem_sanitizers} -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${hakmem_sanitizers})
endif()
# hakmem_integers: sizes that wrap around and conversions that change a value, in the allocator's
# own sources (integers.txt), for targets that link it; empty but in the asan build.
add_library(hakmem_integers INTERFACE)
if(HAKMEM_SANITIZER STREQUAL "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(hakmem_integers INTERFACE
    -fsanitize=unsigned-integer-overflow,implicit-conversion -fno-sanitize-recover=all
    "-fsanitize-ignorelist=${CMAKE_CURRENT_LIST_DIR}/integers.txt")
endif()
if(HAKMEM_CHECKS)
  add_compile_definitions(HAKMEM_CHECKS=1)
endif()

set(HAKMEM_SANITIZER_ENVIRONMENT "")
if(hakmem_sanitizers)
  file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/options.txt" hakmem_sanitizer_lines REGEX
    "^[A-Z]+_OPTIONS=")
  foreach(line IN LISTS hakmem_sanitizer_lines)
    string(REPLACE "@folder@" "${CMAKE_CURRENT_LIST_DIR}" line "${line}")
    list(APPEND HAKMEM_SANITIZER_ENVIRONMENT "${line}")
  endforeach()
  find_program(HAKMEM_SYMBOLIZER NAMES llvm-symbolizer-19 llvm-symbolizer)
  if(HAKMEM_SYMBOLIZER)
    foreach(tool IN ITEMS ASAN UBSAN TSAN MSAN)
      list(APPEND HAKMEM_SANITIZER_ENVIRONMENT "${tool}_SYMBOLIZER_PATH=${HAKMEM_SYMBOLIZER}")
    endforeach()
  endif()
endif()
