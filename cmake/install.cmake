# What an installation holds: two libraries, the public headers, a CMake package and a pkg-config
# file. It can be moved, and both packages find it, unless CMAKE_INSTALL_LIBDIR is absolute.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/hakmem")
install(TARGETS hakmem hakmem_static EXPORT hakmem_targets
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

# CMake adds a file hakmem-targets-*.cmake for each build type, and hakmem-targets.cmake includes
# all that match. Called hakmem-config.cmake, it would include hakmem-config-version.cmake as well.
install(EXPORT hakmem_targets NAMESPACE hakmem:: FILE hakmem-targets.cmake
  DESTINATION "${package_folder}")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/hakmem-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_LIST_DIR}/hakmem-config.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/hakmem-config-version.cmake" DESTINATION "${package_folder}")

if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(hakmem_pc_prefix "${CMAKE_INSTALL_PREFIX}")
  set(hakmem_pc_libdir "${CMAKE_INSTALL_LIBDIR}")
else()
  file(RELATIVE_PATH hakmem_pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" hakmem_pc_prefix "\${pcfiledir}/${hakmem_pc_prefix}")
  set(hakmem_pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(hakmem_pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
else()
  set(hakmem_pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file("${CMAKE_CURRENT_LIST_DIR}/hakmem.pc.in" hakmem.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/hakmem.pc" DESTINATION
  "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
