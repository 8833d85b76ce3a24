// pal_linux_statm.hpp: how much address space the process has mapped, read without stdio.
#pragma once

#include <cstddef>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/pal_linux.hpp"

namespace hak {

inline std::size_t LinuxPal::mapped_bytes(std::size_t unknown) {
    // open(), read() and close() would be cancellation points, which no function of malloc's family
    // may be.
    const long file = ::syscall(SYS_openat, AT_FDCWD, "/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0) return unknown;
    char text[32];
    const long got = ::syscall(SYS_read, file, text, sizeof text);
    ::syscall(SYS_close, file);
    std::size_t pages = 0;
    for (long i = 0; i < got && text[i] >= '0' && text[i] <= '9'; ++i)
        pages = pages * 10 + static_cast<std::size_t>(text[i] - '0');
    return pages == 0 ? unknown : pages * page_bytes();
}

}  // namespace hak
