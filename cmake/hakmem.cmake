# What every folder of the build shares: the warnings, the include path of the header-only core, and
# how a test is registered.

add_library(hakmem_warnings INTERFACE)
target_compile_options(hakmem_warnings INTERFACE -Wall -Wextra $<$<BOOL:${HAKMEM_WERROR}>:-Werror>)

# hakmem_source: include path of the header-only core (src/ and include/), for suites that
# instantiate it in worlds of their own.
add_library(hakmem_source INTERFACE)
target_include_directories(hakmem_source INTERFACE "${PROJECT_SOURCE_DIR}/src"
  "${PROJECT_SOURCE_DIR}/include")
# Which parts of the learning layer, and whether timing, are compiled in: 0 or 1 each.
set(HAKMEM_FEATURES HAKMEM_DEBUG_TIMING=$<BOOL:${HAKMEM_DEBUG_TIMING}>
  HAKMEM_WITH_EVOLUTION=$<BOOL:${HAKMEM_FEATURE_EVOLUTION}>
  HAKMEM_WITH_ELO=$<BOOL:${HAKMEM_FEATURE_ELO}>)
target_compile_definitions(hakmem_source INTERFACE ${HAKMEM_FEATURES})

# hakmem_test(NAME <suite.name> COMMAND <target or program> [arguments...] LABELS <label...> TIMEOUT
# <seconds>
#             [ENVIRONMENT <NAME=value...>] [WORKING_DIRECTORY <folder>] [ALONE])
# ALONE keeps other tests from running beside it, for tests that measure memory of the machine or
# need both processors.
function(hakmem_test)
  cmake_parse_arguments(PARSE_ARGV 0 test "ALONE" "NAME;TIMEOUT;WORKING_DIRECTORY"
    "COMMAND;LABELS;ENVIRONMENT")
  foreach(required IN ITEMS NAME COMMAND LABELS TIMEOUT)
    if(NOT DEFINED test_${required})
      message(FATAL_ERROR "hakmem_test(${test_NAME}): ${required} is missing")
    endif()
  endforeach()
  if(test_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR
      "hakmem_test(${test_NAME}): unexpected arguments: ${test_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT DEFINED test_WORKING_DIRECTORY)
    set(test_WORKING_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}")
  endif()
  add_test(NAME ${test_NAME} COMMAND ${test_COMMAND} WORKING_DIRECTORY "${test_WORKING_DIRECTORY}")
  set_tests_properties(${test_NAME} PROPERTIES
    LABELS "${test_LABELS}"
    TIMEOUT ${test_TIMEOUT}
    ENVIRONMENT
    "${HAKMEM_SANITIZER_ENVIRONMENT};${HAKMEM_EMULATOR_ENVIRONMENT};${test_ENVIRONMENT}")
  if(test_ALONE)
    set_tests_properties(${test_NAME} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()
