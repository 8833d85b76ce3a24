// cxx_plugin.cpp: C++ code that a C program loads: what operators new owe it when there is no
// memory.
#include <cstddef>
#include <cstdint>
#include <new>

namespace {

int handler_calls;
void handler() {
    if (++handler_calls == 2) std::set_new_handler(nullptr);
}

}  // namespace

// 0 if all is as it should be; else which step is not.
extern "C" int plugin_run() {
    const volatile std::size_t impossible = SIZE_MAX / 2;
    if (::operator new(impossible, std::nothrow) != nullptr) return 1;
    try {
        static_cast<void>(::operator new(impossible));
        return 2;
    } catch (const std::bad_alloc&) {
    }
    std::set_new_handler(handler);
    try {
        static_cast<void>(::operator new[](impossible, std::align_val_t{64}));
        return 3;
    } catch (const std::bad_alloc&) {
    }
    if (handler_calls != 2) return 4;
    ::operator delete(::operator new(100));
    return 0;
}
