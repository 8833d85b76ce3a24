// A program that replaces the plain operators new and delete alone, and puts a header before each
// block. The standard defines all other forms by these, so that each must come through them,
// whoever provides it.
#include <cstdlib>
#include <new>

#include "scenarios.hpp"

#if !defined(__clang__)
#    pragma GCC diagnostic ignored \
        "-Wsized-deallocation"  // to leave the sized forms is what this is about
#endif

namespace {

long made = 0, released = 0;
constexpr size_t kMark = 0x68616b6d656d2121;

// The header is as long as the alignment, so that the block behind it has that too.
void* make(size_t n, size_t alignment) {
    made += 1;
    if (n > SIZE_MAX / 2) throw std::bad_alloc();
    auto* const raw = static_cast<char*>(aligned_alloc(alignment, alignment + n));
    if (raw == nullptr) throw std::bad_alloc();
    memcpy(raw + alignment - sizeof kMark, &kMark, sizeof kMark);
    return raw + alignment;
}
void release(void* p, size_t alignment) {
    if (p == nullptr) return;
    released += 1;
    if (memcmp(static_cast<char*>(p) - sizeof kMark, &kMark, sizeof kMark) != 0)
        stress::fail("a block without a header is deleted");
    free(static_cast<char*>(p) - alignment);
}

}  // namespace

void* operator new(size_t n) {
    return make(n, 16);
}
void operator delete(void* p) noexcept {
    release(p, 16);
}
void* operator new(size_t n, std::align_val_t a) {
    return make(n, static_cast<size_t>(a));
}
void operator delete(void* p, std::align_val_t a) noexcept {
    release(p, static_cast<size_t>(a));
}

namespace {

void expect(const char* form, void* p, long makes, long releases) {
    if (made != makes || released != releases)
        stress::fail("%s: %ld blocks were made and %ld released, not %ld and %ld", form, made,
                     released, makes, releases);
    if (p != nullptr) memset(p, 1, 40);
}

// Allocates by one form, and frees by another.
template <class New, class Delete>
void pair(const char* form, New allocate, Delete deallocate) {
    made = released = 0;
    void* const p = allocate();
    expect(form, p, 1, 0);
    deallocate(p);
    expect(form, nullptr, 1, 1);
}

void plain_forms() {
    constexpr size_t n = 40;
    pair(
        "new, sized delete", [] { return ::operator new(n); },
        [](void* p) { ::operator delete(p, n); });
    pair(
        "new, nothrow delete", [] { return ::operator new(n); },
        [](void* p) { ::operator delete(p, std::nothrow); });
    pair(
        "new[], delete[]", [] { return ::operator new[](n); },
        [](void* p) { ::operator delete[](p); });
    pair(
        "new[], sized delete[]", [] { return ::operator new[](n); },
        [](void* p) { ::operator delete[](p, n); });
    pair(
        "new[], nothrow delete[]", [] { return ::operator new[](n); },
        [](void* p) { ::operator delete[](p, std::nothrow); });
    pair(
        "nothrow new, delete", [] { return ::operator new(n, std::nothrow); },
        [](void* p) { ::operator delete(p); });
    pair(
        "nothrow new[], delete[]", [] { return ::operator new[](n, std::nothrow); },
        [](void* p) { ::operator delete[](p); });
}

void aligned_forms() {
    constexpr size_t n = 40;
    constexpr std::align_val_t a{256};
    pair(
        "new, sized delete", [] { return ::operator new(n, a); },
        [](void* p) { ::operator delete(p, n, a); });
    pair(
        "new, nothrow delete", [] { return ::operator new(n, a); },
        [](void* p) { ::operator delete(p, a, std::nothrow); });
    pair(
        "new[], delete[]", [] { return ::operator new[](n, a); },
        [](void* p) { ::operator delete[](p, a); });
    pair(
        "new[], sized delete[]", [] { return ::operator new[](n, a); },
        [](void* p) { ::operator delete[](p, n, a); });
    pair(
        "new[], nothrow delete[]", [] { return ::operator new[](n, a); },
        [](void* p) { ::operator delete[](p, a, std::nothrow); });
    pair(
        "nothrow new, delete", [] { return ::operator new(n, a, std::nothrow); },
        [](void* p) { ::operator delete(p, a); });
    pair(
        "nothrow new[], delete[]", [] { return ::operator new[](n, a, std::nothrow); },
        [](void* p) { ::operator delete[](p, a); });
}

// What the program's operator throws does not leave the nothrow forms.
void no_memory() {
    static volatile size_t too_much = SIZE_MAX - 4096;
    constexpr std::align_val_t a{256};
    made = 0;
    for (void* p :
         {::operator new(too_much, std::nothrow), ::operator new[](too_much, std::nothrow),
          ::operator new(too_much, a, std::nothrow), ::operator new[](too_much, a, std::nothrow)}) {
        if (p != nullptr) stress::fail("a block of impossible size");
    }
    expect("nothrow forms", nullptr, 4, released);
    try {
        ::operator delete[](::operator new[](too_much));
    } catch (const std::bad_alloc&) {
        return expect("new[]", nullptr, 5, released);
    }
    stress::fail("new[] of an impossible size did not throw");
}

check_test scenarios[] = {CHECK_TEST(plain_forms), CHECK_TEST(aligned_forms),
                          CHECK_TEST(no_memory)};

}  // namespace

int main(int, char** argv) {
    return lifecycle::run(argv, scenarios);
}
