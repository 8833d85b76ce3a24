// good.hpp: a case of ci/tidy.
#pragma once

#include <cstdint>
#include <new>

#include "base/types.hpp"
#include "sys/world.hpp"

namespace hak {

// Comments may speak of malloc(1), thread_local, getenv and new; so may "printf(" in a string.
template <World W>
struct Good {
    Good(const Good&) = delete;
    Atomic<W, Address> word;
    Address read() const { return word.load(order::acquire); }
    bool change(Address from) { return word.cas_weak(from, from + 1, order::release,
                                                     order::relaxed); }
    const char* name() const { return "printf( new Thing malloc("; }
    static Good* make(void* place) { return ::new (place) Good; }
};

}  // namespace hak
