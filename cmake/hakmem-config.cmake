# What find_package(hakmem) reads: the targets hakmem::hakmem (shared) and hakmem::static.
include("${CMAKE_CURRENT_LIST_DIR}/hakmem-targets.cmake")
