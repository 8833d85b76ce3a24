# Toolchain of the preset `aarch64`: Debian's cross compiler, and qemu-user to run what it makes.
# Packages: g++-aarch64-linux-gnu, qemu-user, librapidcheck-dev:arm64.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)
# qemu-user keeps books of every page of the address space that is reserved, which takes seconds for
# a terabyte.
set(HAKMEM_EMULATOR_ENVIRONMENT HAKMEM_OPTIONS=window=16G)
