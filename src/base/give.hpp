// give.hpp: how the C interface fills a struct of a caller's, which may be older and shorter than
// ours.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace hak {

// The first `bytes` bytes of `value`. 0, or EINVAL if `out` is null.
template <class T>
int give(const T& value, T* out, std::size_t bytes) {
    if (out == nullptr) return EINVAL;
    std::memcpy(out, &value, bytes < sizeof value ? bytes : sizeof value);
    return 0;
}

}  // namespace hak
