// broken.hpp: how a suite says that something is wrong. Everything is an exception, so that
// RapidCheck can shrink it.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

#include "base/check.hpp"

namespace kit {

// A rule does not hold: the allocator, or what it asked of the fake operating system, is wrong.
struct Broken : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <class... Parts>
[[noreturn]] void broken(const Parts&... parts) {
    std::ostringstream text;
    (text << ... << parts);
    throw Broken(text.str());
}

template <class... Parts>
void require(bool holds, const Parts&... parts) {
    if (!holds) broken(parts...);
}

// What the allocator reports about its client, in place of a line and abort().
struct ClientFault {
    hak::Fault fault;
    hak::Entry entry;
    const void* p;
};

}  // namespace kit
