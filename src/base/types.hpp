// types.hpp: integer vocabulary and the only casts between addresses and pointers.
#pragma once

#include <cstdint>

namespace hak {

using Address = std::uintptr_t;

inline Address address_of(const volatile void* pointer) {
    return reinterpret_cast<Address>(pointer);
}

template <class T>
inline T* pointer_to(Address address) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): what this function is for
    return reinterpret_cast<T*>(address);
}

}  // namespace hak
