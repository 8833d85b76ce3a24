# What the tests of processes (tests/process) and the stress programs (stress) share.
#
# A program is built with the hak_* names of hakmem_core, which works in every preset, or calls
# malloc and is run with libhakmem.so preloaded, under the system's malloc, or linked with
# libhakmem.a.
include_guard(GLOBAL)
find_package(Threads REQUIRED)
find_program(STRESS_PYTHON NAMES python3.11 python3 HINTS /usr/bin REQUIRED)

add_library(stress_options INTERFACE)
# Calls of malloc and free must reach the allocator under test as they are written.
target_compile_options(stress_options INTERFACE -fno-builtin)
target_include_directories(stress_options INTERFACE "${CMAKE_CURRENT_LIST_DIR}/..")
target_link_libraries(stress_options INTERFACE hakmem_warnings Threads::Threads)

# Whether programs of this machine can have their malloc replaced by the library that is built here.
set(STRESS_REPLACES_MALLOC ON CACHE INTERNAL "")
if(HAKMEM_SANITIZER OR CMAKE_CROSSCOMPILING)
  set(STRESS_REPLACES_MALLOC OFF CACHE INTERNAL "")
endif()
set(STRESS_PRELOAD "" CACHE INTERNAL "")
if(STRESS_REPLACES_MALLOC)
  set(STRESS_PRELOAD "LD_PRELOAD=$<TARGET_FILE:hakmem>" CACHE INTERNAL "")
endif()

# The debug build's layer lies above both sets of names: preloaded is enough for it.
set(STRESS_CORE ON CACHE INTERNAL "")
if(HAKMEM_DEBUG)
  set(STRESS_CORE OFF CACHE INTERNAL "")
endif()
